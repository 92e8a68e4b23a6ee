package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"midplane/internal/forgetfs"
)

// forgetful gives every node a disk that keeps only what was synced.
func (w *World) forgetful() error {
	for _, n := range w.sys.Nodes {
		f := forgetfs.Mount(w.t)
		if err := os.Symlink(f.Dir, w.DataDir(n)); err != nil {
			return err
		}
		w.forgets[n] = f
	}
	w.t.Cleanup(w.sys.StopAll) // before the disks go
	return nil
}

// PowerCut takes the power of nodes away, at the same moment: they end, and what
// was not synced is gone.
type PowerCut struct{ Who Who }

// Do cuts.
func (f PowerCut) Do(ctx context.Context, w *World) error {
	nodes, err := w.choose(ctx, f.Who)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		w.note("cut the power of %s", n)
		if w.forgets[n] == nil {
			return fmt.Errorf("%s has no disk that forgets", n)
		}
		// Nothing may be acknowledged by a program that does not know yet.
		if err := w.sys.Signal(n, syscall.SIGSTOP); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		w.forgets[n].Cut()
	}
	for _, n := range nodes {
		w.sys.Kill(n)
	}
	for _, n := range nodes {
		if err := w.forgets[n].Restore(); err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
	}
	return nil
}

// small gives a node a disk of its own of so many bytes.
func (w *World) small(node string, size int64) error {
	dir := w.DataDir(node)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		return fmt.Errorf("the laboratory mounts small disks, which needs root (in a container also --cap-add SYS_ADMIN): %w", err)
	}
	w.t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			w.t.Errorf("unmount: %v", err)
		}
	})
	w.t.Cleanup(w.sys.StopAll) // before the disk goes
	return nil
}

// FillDisk fills what is left of nodes' disks.
type FillDisk struct{ Who Who }

// Do fills.
func (f FillDisk) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, "fill the disk of", func(n string) error {
		file, err := os.Create(w.ballast(n))
		if err != nil {
			return err
		}
		defer file.Close()
		for block := make([]byte, 64<<10); ; {
			if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
}

// FreeDisk takes what FillDisk wrote away.
type FreeDisk struct{ Who Who }

// Do frees.
func (f FreeDisk) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, "free the disk of", func(n string) error { return os.Remove(w.ballast(n)) })
}

func (w *World) ballast(node string) string { return filepath.Join(w.DataDir(node), "ballast") }

// Wipe takes everything that nodes have stored away.
type Wipe struct{ Who Who }

// Do wipes.
func (f Wipe) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, "wipe the disk of", func(n string) error { return os.RemoveAll(w.DataDir(n)) })
}

// Sync makes every sync on the disks of nodes slow, or an I/O error.
type Sync struct {
	Who  Who
	Slow time.Duration
	Fail bool
}

// Do changes the disks.
func (f Sync) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, fmt.Sprintf("syncs take %s longer, fail: %v, on", f.Slow, f.Fail), func(n string) error {
		if w.forgets[n] == nil {
			return fmt.Errorf("no disk that forgets")
		}
		w.forgets[n].Slow(f.Slow)
		w.forgets[n].Fail(f.Fail)
		return nil
	})
}
