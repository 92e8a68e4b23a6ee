package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// RemoveDir removes a folder with all that is in it: after a power cut it is there
// as it was or it is gone, and gone for certain once RemoveDir has returned. It is
// moved into the folder through first, which must be on the same disk; what a power
// cut leaves there belongs to nobody. A folder that is not there is removed.
func RemoveDir(dir, through string) error {
	if err := MakeDir(through); err != nil {
		return err
	}
	to, err := os.MkdirTemp(through, temporary)
	if err != nil {
		return err
	}
	err = os.Rename(dir, filepath.Join(to, filepath.Base(dir)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.RemoveAll(to)
	case err != nil:
		return errors.Join(err, os.RemoveAll(to))
	}
	return errors.Join(SyncDir(filepath.Dir(dir)), os.RemoveAll(to))
}
