package outbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"midplane/internal/atomicfile"
)

// ballast is a file that takes up room on the disk until the disk is full and
// the outbox needs that room to go on.
type ballast struct {
	path string
	size int64 // bytes, none when 0 or less
}

func (b *ballast) there() bool {
	info, err := os.Stat(b.path)
	return err == nil && info.Size() >= b.size
}

// make writes the file unless it is there. It needs twice the room at first:
// taking the last of the disk would fill what was to be kept free.
func (b *ballast) make() error {
	if b.size <= 0 || b.there() {
		return nil
	}
	tmp := b.path + ".tmp"
	if err := b.fill(tmp); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, b.path); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(b.path))
}

func (b *ballast) fill(path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// Not zeros: a file system may keep those for nothing.
	chunk := make([]byte, 64<<10)
	x := uint64(1)
	for done := int64(0); done < 2*b.size; done += int64(len(chunk)) {
		for i := range chunk {
			x = x*6364136223846793005 + 1442695040888963407
			chunk[i] = byte(x >> 56)
		}
		if _, err := f.Write(chunk); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Truncate(b.size); err != nil {
		return err
	}
	return f.Sync()
}

// release gives the room back; it reports whether there was any.
func (b *ballast) release() bool {
	if b.size <= 0 || !b.there() {
		return false
	}
	err := os.Remove(b.path)
	return err == nil || errors.Is(err, fs.ErrNotExist)
}
