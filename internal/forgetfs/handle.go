package forgetfs

import (
	"context"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// handle is an open file. It does not embed the library's: that would hand its
// descriptor to the kernel, which would write past us.
type handle struct {
	disk   *disk
	object *object
	file   *os.File
	inner  *fs.LoopbackFile
	always bool // opened to sync every write
}

// newHandle is called with the disk's lock held.
func newHandle(d *disk, o *object, f *os.File, flags uint32) *handle {
	if flags&syscall.O_TRUNC != 0 {
		o.resized(0)
	}
	return &handle{disk: d, object: o, file: f, inner: fs.NewLoopbackFileFromOS(f), always: flags&(syscall.O_SYNC|syscall.O_DSYNC) != 0}
}

// LoopbackFile returns the library's handle, for what it changes.
func (h *handle) LoopbackFile() *fs.LoopbackFile { return h.inner }

// Read implements fs.FileReader.
func (h *handle) Read(ctx context.Context, buf []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return h.inner.Read(ctx, buf, off)
}

// Write implements fs.FileWriter.
func (h *handle) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	n, errno := h.inner.Write(ctx, data, off)
	if errno != 0 {
		return n, errno
	}
	if h.always {
		h.disk.linger()
	}
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	h.object.wrote(off, off+int64(n))
	if h.always {
		errno = fs.ToErrno(h.disk.syncFile(h.object, h.file))
	}
	return n, errno
}

// Fsync implements fs.FileFsyncer.
func (h *handle) Fsync(context.Context, uint32) syscall.Errno {
	h.disk.linger()
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	return fs.ToErrno(h.disk.syncFile(h.object, h.file))
}

// Allocate implements fs.FileAllocater. A file whose space is allocated grows.
func (h *handle) Allocate(ctx context.Context, off, size uint64, mode uint32) syscall.Errno {
	errno := h.inner.Allocate(ctx, off, size, mode)
	if errno == 0 {
		h.disk.mu.Lock()
		defer h.disk.mu.Unlock()
		h.object.wrote(int64(off), int64(off+size))
	}
	return errno
}

// Getattr implements fs.FileGetattrer.
func (h *handle) Getattr(ctx context.Context, out *fuse.AttrOut) syscall.Errno {
	return h.inner.Getattr(ctx, out)
}

// Lseek implements fs.FileLseeker.
func (h *handle) Lseek(ctx context.Context, off uint64, whence uint32) (uint64, syscall.Errno) {
	return h.inner.Lseek(ctx, off, whence)
}

// Flush implements fs.FileFlusher.
func (h *handle) Flush(ctx context.Context) syscall.Errno { return h.inner.Flush(ctx) }

// Release implements fs.FileReleaser.
func (h *handle) Release(ctx context.Context) syscall.Errno { return h.inner.Release(ctx) }

// folder is an open folder. As above: the library's own would sync the folder
// below, and nothing else.
type folder struct {
	node *node
	list interface {
		fs.FileReaddirenter
		fs.FileSeekdirer
		fs.FileReleasedirer
	}
}

// OpendirHandle implements fs.NodeOpendirHandler.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	inner, fuseFlags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	f := &folder{node: n}
	var ok bool
	if f.list, ok = inner.(interface {
		fs.FileReaddirenter
		fs.FileSeekdirer
		fs.FileReleasedirer
	}); !ok {
		return nil, 0, syscall.ENOTSUP
	}
	return f, fuseFlags, 0
}

// Fsyncdir implements fs.FileFsyncdirer.
func (f *folder) Fsyncdir(ctx context.Context, flags uint32) syscall.Errno {
	return f.node.Fsync(ctx, nil, flags)
}

// Readdirent implements fs.FileReaddirenter.
func (f *folder) Readdirent(ctx context.Context) (*fuse.DirEntry, syscall.Errno) {
	return f.list.Readdirent(ctx)
}

// Seekdir implements fs.FileSeekdirer.
func (f *folder) Seekdir(ctx context.Context, off uint64) syscall.Errno {
	return f.list.Seekdir(ctx, off)
}

// Releasedir implements fs.FileReleasedirer.
func (f *folder) Releasedir(ctx context.Context, flags uint32) { f.list.Releasedir(ctx, flags) }
