package serve

import (
	"os"
	"path/filepath"
	"syscall"

	"midplane/fault"
	"midplane/internal/atomicfile"
)

// openData makes the folder of a daemon, which only its owner may enter, and
// locks it: two processes in one folder would ruin each other's files. The
// lock goes with the process, however it ends.
func openData(dir string) (path string, unlock func(), err error) {
	path, err = filepath.Abs(dir)
	if err == nil {
		err = atomicfile.MakeDir(path)
	}
	if err != nil {
		return "", nil, fault.WithHint(fault.Wrap(fault.Other, err, "--data"), "name a folder that you may write to")
	}
	f, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", nil, fault.WithHint(fault.Wrap(fault.Other, err, "--data"), "name a folder that you may write to")
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return "", nil, fault.WithHint(fault.New(fault.Conflict, "%s is in use by another midplane", path), "stop that one, or name another folder with --data")
	}
	return path, func() { _ = f.Close() }, nil
}
