package forgetfs

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or folder of the mount. Its content is in a plain folder; what
// changes names is done under the disk's lock, so that both agree.
type node struct {
	fs.LoopbackNode
	disk   *disk
	object *object // under the disk's lock
}

func newRoot(dir string, d *disk) (*node, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return nil, err
	}
	data := &fs.LoopbackRoot{Path: dir, Dev: uint64(st.Dev)}
	root := &node{LoopbackNode: fs.LoopbackNode{RootData: data}, disk: d, object: d.root}
	data.RootNode = root
	return root, nil
}

// WrapChild implements fs.NodeWrapChilder: what is below a node is one, too.
func (n *node) WrapChild(context.Context, fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{LoopbackNode: fs.LoopbackNode{RootData: n.RootData}, disk: n.disk}
}

// bind gives what was found or made under a name its object. The library may
// remember a node that had the same number, and is gone.
func (n *node) bind(ch *fs.Inode, name string) {
	if c, ok := ch.Operations().(*node); ok {
		c.object = n.object.live[name]
	}
}

func (n *node) path() string { return filepath.Join(n.RootData.Path, n.Path(n.Root())) }

// Lookup implements fs.NodeLookuper.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	ch, errno := n.LoopbackNode.Lookup(ctx, name, out)
	if errno == 0 {
		n.bind(ch, name)
	}
	return ch, errno
}

// Mkdir implements fs.NodeMkdirer.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	o := n.disk.make(os.ModeDir | os.FileMode(mode).Perm())
	was := n.object.live[name]
	if was == nil {
		n.object.add(name, o)
	}
	ch, errno := n.LoopbackNode.Mkdir(ctx, name, mode, out)
	switch {
	case errno == 0:
		n.bind(ch, name)
	case was == nil:
		n.object.drop(name)
	}
	return ch, errno
}

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	o, made := n.object.live[name], false
	if o == nil {
		o, made = n.disk.make(os.FileMode(mode).Perm()), true
		n.object.add(name, o)
	}
	f, err := os.OpenFile(filepath.Join(n.path(), name), readable(flags)|os.O_CREATE, os.FileMode(mode).Perm())
	if err != nil {
		if made {
			n.object.drop(name)
		}
		return nil, nil, 0, fs.ToErrno(err)
	}
	ch, errno := n.LoopbackNode.Lookup(ctx, name, out)
	if errno != 0 {
		return nil, nil, 0, fs.ToErrno(f.Close())
	}
	n.bind(ch, name)
	return ch, newHandle(n.disk, o, f, flags), 0, 0
}

// readable are flags with which what is written can be read back for the disk.
func readable(flags uint32) int {
	flags &^= syscall.O_APPEND | fuse.FMODE_EXEC | syscall.O_EXCL
	if flags&syscall.O_ACCMODE == syscall.O_WRONLY {
		flags = flags&^syscall.O_ACCMODE | syscall.O_RDWR
	}
	// The folder below need not be synced: the disk is the other one.
	return int(flags &^ (syscall.O_SYNC | syscall.O_DSYNC))
}

// Open implements fs.NodeOpener.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	f, err := os.OpenFile(n.path(), readable(flags), 0)
	if err != nil {
		return nil, 0, fs.ToErrno(err)
	}
	return newHandle(n.disk, n.object, f, flags), 0, 0
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	errno := n.LoopbackNode.Unlink(ctx, name)
	if errno == 0 {
		n.object.drop(name)
	}
	return errno
}

// Rmdir implements fs.NodeRmdirer.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	errno := n.LoopbackNode.Rmdir(ctx, name)
	if errno == 0 {
		n.object.drop(name)
	}
	return errno
}

// Rename implements fs.NodeRenamer.
func (n *node) Rename(ctx context.Context, name string, to fs.InodeEmbedder, toName string, flags uint32) syscall.Errno {
	target, ok := to.(*node)
	if !ok || flags != 0 {
		return syscall.EINVAL
	}
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	errno := n.LoopbackNode.Rename(ctx, name, to, toName, flags)
	if errno == 0 {
		n.object.move(name, target.object, toName)
	}
	return errno
}

// Setattr implements fs.NodeSetattrer.
func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if h, ok := f.(*handle); ok {
		f = h.LoopbackFile()
	}
	errno := n.LoopbackNode.Setattr(ctx, f, in, out)
	if errno != 0 {
		return errno
	}
	if size, ok := in.GetSize(); ok {
		n.object.resized(int64(size))
	}
	if mode, ok := in.GetMode(); ok {
		n.object.mode = n.object.mode.Type() | os.FileMode(mode).Perm()
	}
	return 0
}

// Fsync implements fs.NodeFsyncer, for files and folders.
func (n *node) Fsync(ctx context.Context, f fs.FileHandle, flags uint32) syscall.Errno {
	if h, ok := f.(*handle); ok {
		return h.Fsync(ctx, flags)
	}
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if n.IsDir() {
		n.disk.syncDir(n.object)
	}
	return 0
}

// Link, Symlink and Mknod are not there: an object has one place.

// Link implements fs.NodeLinker.
func (n *node) Link(context.Context, fs.InodeEmbedder, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}

// Symlink implements fs.NodeSymlinker.
func (n *node) Symlink(context.Context, string, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}

// Mknod implements fs.NodeMknoder.
func (n *node) Mknod(context.Context, string, uint32, uint32, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}
