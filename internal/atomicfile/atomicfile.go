// Package atomicfile writes files that are whole after a power cut: the old
// content or the new one, and the new one for certain once Write has returned.
// It touches the files that it is given and nothing else.
package atomicfile

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// temporary is in the name of a file that is not in its place yet. A power cut
// leaves it behind; Clean removes it.
const temporary = ".atomic-"

// Option changes how a file is written.
type Option func(*options)

type options struct {
	mode   fs.FileMode
	finish func(*os.File) error
}

// Mode is the file's permissions, which the umask narrows; without it they are 0600.
func Mode(m fs.FileMode) Option { return func(o *options) { o.mode = m } }

// Finish has f work on the file before it takes its place, for example to give
// it to another owner.
func Finish(f func(*os.File) error) Option { return func(o *options) { o.finish = f } }

// Write puts data in the place of path's content, durably. Unless an option says
// otherwise only the owner may read the file.
func Write(path string, data []byte, opts ...Option) (err error) {
	o := options{mode: 0o600, finish: func(*os.File) error { return nil }}
	for _, opt := range opts {
		opt(&o)
	}
	dir := filepath.Dir(path)
	f, err := create(dir, filepath.Base(path), o.mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, gone(os.Remove(f.Name())))
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = o.finish(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// create makes a new file beside name. os.CreateTemp has no permissions to choose.
func create(dir, name string, mode fs.FileMode) (*os.File, error) {
	for tries := 0; ; tries++ {
		f, err := os.OpenFile(filepath.Join(dir, temporary+name+"-"+strconv.FormatUint(uint64(rand.Uint32()), 10)), os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) && tries < 1000 {
			continue
		}
		return f, err
	}
}

// Temporary reports whether a name in a folder is of a file that is not in its
// place yet.
func Temporary(name string) bool { return strings.HasPrefix(name, temporary) }

// gone takes it for success that there was nothing to remove: the file has its
// name already, and only the folder could not be synced.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// SyncDir makes the names in a folder durable: which files are in it, and which
// are no longer.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	// Some file systems have no such thing, and write names by themselves.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// MakeDir makes a folder, with what is missing above it, durably: a power cut takes the
// name of a folder that is only made, and all synced files in it. Unless an option says
// otherwise only the owner may look into it.
func MakeDir(dir string, opts ...Option) error {
	o := options{mode: 0o700}
	for _, opt := range opts {
		opt(&o)
	}
	var above []string // folders that get a new name in them
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || !errors.Is(err, fs.ErrNotExist) {
			break // what is wrong is in the error of MkdirAll
		}
		above = append(above, filepath.Dir(d))
	}
	if err := os.MkdirAll(dir, o.mode); err != nil {
		return err
	}
	for _, d := range above {
		if err := SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// Clean removes what writes that a power cut ended have left in a folder.
func Clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if Temporary(e.Name()) {
			err = errors.Join(err, gone(os.Remove(filepath.Join(dir, e.Name()))))
		}
	}
	return err
}
