package poller

import (
	"errors"
	"os"
	"path/filepath"
)

// replaceFile writes data to path so that, whatever happens meanwhile, path
// holds the old content or the new one, whole. Only the owner may read it.
func replaceFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil // renamed; some systems cannot open a directory
	}
	defer dir.Close()
	_ = dir.Sync() // and some cannot sync one
	return nil
}
