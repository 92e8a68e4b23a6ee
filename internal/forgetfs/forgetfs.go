// Package forgetfs is a disk for tests that keeps only what was synced: a FUSE
// file system over plain folders, whose power can be cut. What a program wrote
// without a sync is gone then, as on a real disk within the delay of its write
// back, only always: content without fsync of the file, names without fsync of
// the folder. A new file brings its name to the disk when it is synced itself,
// as with ext4; one whose name alone got there is empty.
//
// It needs root and /dev/fuse. Only tests use it.
package forgetfs

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// FS is a mounted disk.
type FS struct {
	Dir    string // where programs see it, and where Restore puts what is left
	disk   *disk
	server *fuse.Server
}

// Mount makes an empty disk and unmounts it when the test ends.
func Mount(t testing.TB) *FS {
	t.Helper()
	base := t.TempDir()
	f := &FS{Dir: filepath.Join(base, "mount"), disk: newDisk(filepath.Join(base, "disk"))}
	live := filepath.Join(base, "live")
	for _, dir := range []string{f.Dir, f.disk.store, live} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Fatalf("this test mounts a file system of its own, and there is no /dev/fuse: load the module (modprobe fuse), or give the container the device (docker run --device /dev/fuse --cap-add SYS_ADMIN): %v", err)
	}
	root, err := newRoot(live, f.disk)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing else changes the files, so the kernel may remember them.
	remember := time.Minute
	f.server, err = fs.Mount(f.Dir, root, &fs.Options{AttrTimeout: &remember, EntryTimeout: &remember,
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "forgetfs", Name: "forgetfs", MaxWrite: 1 << 20}})
	if err != nil {
		t.Fatalf("this test mounts a file system of its own, which needs root (in a container also --cap-add SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		if err := f.Unmount(); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return f
}

// Cut cuts the power: nothing that is synced from here on reaches the disk.
// Programs notice nothing.
func (f *FS) Cut() {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.cut = true
}

// Slow makes every sync of a file take so much longer.
func (f *FS) Slow(by time.Duration) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.slow = by
}

// Fail makes every sync of a file an I/O error, or not.
func (f *FS) Fail(yes bool) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.fails = yes
}

// Unmount takes the disk away; again does nothing. Files that a program still
// holds open are an error, and the disk is gone all the same.
func (f *FS) Unmount() error {
	if f.server == nil {
		return nil
	}
	server := f.server
	f.server = nil
	err := server.Unmount()
	if err == nil {
		return nil
	}
	if detached := syscall.Unmount(f.Dir, syscall.MNT_DETACH); detached != nil {
		return fmt.Errorf("%w; %w", err, detached)
	}
	return fmt.Errorf("files are still open: %w", err)
}

// Restore unmounts the disk and puts what is left on it into Dir, which is a
// plain folder from then on.
func (f *FS) Restore() error {
	f.Cut()
	if err := f.Unmount(); err != nil {
		return err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.write(f.disk.root, f.Dir)
}
