package forgetfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// object is one file or folder: as programs see it, and as it is on the disk.
type object struct {
	id   uint64
	mode fs.FileMode

	// Where it is: for programs, and on the disk. nil: nowhere.
	up, keptUp     *object
	name, keptName string

	// Of a folder: its names for programs, and those on the disk.
	live, kept map[string]*object

	// Of a file: what has been written since it was last synced, and the
	// smallest size it has had since, -1 when it was not cut short.
	dirty  []span
	shrunk int64
}

// span is a range of bytes, without its end.
type span struct{ from, to int64 }

// manySpans is how many ranges are kept apart before they become one.
const manySpans = 256

// disk keeps what was synced. Its files are in a folder, each under its number.
type disk struct {
	mu    sync.Mutex
	store string
	last  uint64
	cut   bool          // the power is gone: nothing reaches the disk any more
	slow  time.Duration // what every sync of a file takes longer
	fails bool          // a sync of a file is an I/O error
	root  *object
}

func newDisk(store string) *disk {
	d := &disk{store: store}
	d.root = d.make(fs.ModeDir | 0o700)
	return d
}

// make returns an object that is nowhere yet. The lock is held.
func (d *disk) make(mode fs.FileMode) *object {
	d.last++
	o := &object{id: d.last, mode: mode, shrunk: -1}
	if mode.IsDir() {
		o.live, o.kept = map[string]*object{}, map[string]*object{}
	}
	return o
}

// add gives an object a name that programs see. The lock is held, as by all below.
func (o *object) add(name string, c *object) {
	if was := o.live[name]; was != nil && was != c {
		was.up = nil
	}
	o.live[name], c.up, c.name = c, o, name
}

// drop takes a name away.
func (o *object) drop(name string) {
	if c := o.live[name]; c != nil {
		c.up = nil
		delete(o.live, name)
	}
}

// move gives what is under a name another name.
func (o *object) move(name string, to *object, toName string) {
	c := o.live[name]
	if c == nil || to == o && name == toName {
		return
	}
	delete(o.live, name)
	to.add(toName, c)
}

// wrote notes a write.
func (o *object) wrote(from, to int64) {
	if n := len(o.dirty); n > 0 && from <= o.dirty[n-1].to && to >= o.dirty[n-1].from {
		o.dirty[n-1] = span{min(from, o.dirty[n-1].from), max(to, o.dirty[n-1].to)}
		return
	}
	o.dirty = append(o.dirty, span{from, to})
	if len(o.dirty) < manySpans {
		return
	}
	all := o.dirty[0]
	for _, s := range o.dirty {
		all = span{min(all.from, s.from), max(all.to, s.to)}
	}
	o.dirty = []span{all}
}

// resized notes that a file was cut short or extended.
func (o *object) resized(size int64) {
	if o.shrunk < 0 || size < o.shrunk {
		o.shrunk = size
	}
}

// put gives an object a place on the disk, and only that one.
func (o *object) put(name string, c *object) {
	if was := o.kept[name]; was != nil && was != c {
		was.keptUp = nil
	}
	if c.keptUp != nil {
		delete(c.keptUp.kept, c.keptName)
	}
	o.kept[name], c.keptUp, c.keptName = c, o, name
}

// place gives a new object the place on the disk that it has for programs, with
// the folders above it: who syncs a new file finds it again.
func (d *disk) place(o *object) {
	if o == d.root || o.keptUp != nil || o.up == nil {
		return
	}
	d.place(o.up)
	o.up.put(o.name, o)
}

// syncDir brings the names in a folder to the disk.
func (d *disk) syncDir(o *object) {
	if d.cut {
		return
	}
	d.place(o)
	for name, c := range o.kept {
		if o.live[name] != c {
			c.keptUp = nil
			delete(o.kept, name)
		}
	}
	for name, c := range o.live {
		if o.kept[name] != c {
			o.put(name, c)
		}
	}
}

func (d *disk) path(o *object) string { return filepath.Join(d.store, fmt.Sprint(o.id)) }

// linger is how long a slow disk takes for a sync. The lock is not held.
func (d *disk) linger() {
	d.mu.Lock()
	slow := d.slow
	d.mu.Unlock()
	time.Sleep(slow)
}

// syncFile brings a file's content to the disk, and its place when it is new.
func (d *disk) syncFile(o *object, content *os.File) error {
	if d.fails {
		return syscall.EIO
	}
	if d.cut {
		return nil
	}
	d.place(o)
	if len(o.dirty) == 0 && o.shrunk < 0 {
		return nil
	}
	to, err := os.OpenFile(d.path(o), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer to.Close()
	info, err := content.Stat()
	if err != nil {
		return err
	}
	if was, err := to.Stat(); err == nil && o.shrunk >= 0 && o.shrunk < was.Size() {
		if err := to.Truncate(o.shrunk); err != nil {
			return err
		}
	}
	for _, s := range o.dirty {
		n := min(s.to, info.Size()) - s.from
		if n <= 0 {
			continue
		}
		if _, err := io.Copy(io.NewOffsetWriter(to, s.from), io.NewSectionReader(content, s.from, n)); err != nil {
			return err
		}
	}
	if err := to.Truncate(info.Size()); err != nil {
		return err
	}
	o.dirty, o.shrunk = nil, -1
	return nil
}

// write writes what is on the disk below a folder: a file that was never synced
// is empty there.
func (d *disk) write(o *object, to string) error {
	for name, c := range o.kept {
		path := filepath.Join(to, name)
		if c.mode.IsDir() {
			if err := errors.Join(os.Mkdir(path, c.mode.Perm()), d.write(c, path)); err != nil {
				return err
			}
			continue
		}
		data, err := os.ReadFile(d.path(c))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(path, data, c.mode.Perm()); err != nil {
			return err
		}
	}
	return nil
}
