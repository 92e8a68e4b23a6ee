package deployment

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"midplane/fault"
	"midplane/internal/atomicfile"
)

// writer writes files below dir and keeps the first error.
type writer struct {
	dir  string
	over bool // replace files that are there
	err  error
}

func (w *writer) file(name string, data []byte, mode os.FileMode) {
	if w.err != nil {
		return
	}
	path := filepath.Join(w.dir, name)
	dirMode := os.FileMode(0o755)
	if mode == 0o600 {
		dirMode = 0o700
	}
	if err := atomicfile.MakeDir(filepath.Dir(path), atomicfile.Mode(dirMode)); err != nil {
		w.err = fault.Wrap(fault.Other, err, "deployment folder")
		return
	}
	write := whole
	if w.over {
		write = replace
	}
	w.err = fault.Wrap(fault.Other, write(path, data, mode), "deployment folder")
}

// whole makes a new file that is there with all of data, or not at all: a kill
// or a power cut must not leave a deployment.json that cannot be read.
func whole(path string, data []byte, mode os.FileMode) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist})
	}
	return replace(path, data, mode)
}

// replace makes a file hold all of data, or what it held before.
func replace(path string, data []byte, mode os.FileMode) error {
	return atomicfile.Write(path, data, atomicfile.Mode(mode))
}

// partial ends the name of a file that an older version was writing when it was
// killed.
const partial = ".part"

// secret writes a file that only its owner may read.
func (w *writer) secret(name string, data []byte) { w.file(name, data, 0o600) }

func (w *writer) json(name string, v any, mode os.FileMode) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil && w.err == nil {
		w.err = fault.Wrap(fault.Other, err, "encode %s", name)
	}
	w.file(name, append(data, '\n'), mode)
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fault.WithHint(fault.Wrap(fault.Invalid, err, "%s is damaged", path), "restore it from a copy: it cannot be made again")
	}
	return nil
}

// empty removes what a try that was cut off left, and refuses a folder that
// holds anything else.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap(fault.Other, err, "deployment folder")
	}
	ours := map[string]bool{"offline": true, "nodes": true, "admin": true, "primary": true, "tls": true, fileOperator: true, fileOperator + partial: true, fileDone + partial: true, "lost+found": true}
	for _, e := range entries {
		if !ours[e.Name()] && !atomicfile.Temporary(e.Name()) {
			return fault.WithHint(fault.New(fault.Conflict, "%s is not empty: it holds %s", dir, e.Name()), "name a folder that is new or empty")
		}
	}
	// Folders stay: each may be a volume of its own, mounted here.
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.Name() == "lost+found":
			return fs.SkipDir
		case e.IsDir():
			return nil
		}
		return os.Remove(path)
	})
	return fault.Wrap(fault.Other, err, "half-made deployment folder")
}
