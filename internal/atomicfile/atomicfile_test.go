package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteReplacesTheContentAndLeavesNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.jwt")
	for _, want := range []string{"the first, which is longer", "the second", ""} {
		if err := Write(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

func TestWriteThatFailsLeavesTheOldContentAndNoTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "by a folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("x")); err == nil {
		t.Error("a folder was replaced by a file")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
	if err := Write(filepath.Join(dir, "no such folder", "a"), nil); err == nil {
		t.Error("written into a folder that is not there")
	}
}

func TestWriteWithOptions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ca.crt")
	var finished string
	err := Write(path, []byte("public"), Mode(0o640), Finish(func(f *os.File) error {
		data, err := os.ReadFile(f.Name())
		finished = string(data)
		if !Temporary(filepath.Base(f.Name())) {
			t.Errorf("%s is not known as temporary", f.Name())
		}
		return err
	}))
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil || info.Mode().Perm() != 0o640 || finished != "public" {
		t.Errorf("%v, %v, mode %v, finished with %q", err, statErr, info.Mode(), finished)
	}
	if err := Write(path, []byte("other"), Finish(func(*os.File) error { return os.ErrPermission })); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "public" {
		t.Errorf("%q, %v", data, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

func TestMakeDirMakesWhatIsMissingAboveItToo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 { // and once more, when all is there
		if err := MakeDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MakeDir(filepath.Join(file, "d")); err == nil {
		t.Error("a folder in a file")
	}
}

func TestCleanRemovesWhatAPowerCutLeftAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.jwt", temporary + "a.jwt-123", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[0].Name() != ".hidden" || entries[1].Name() != "a.jwt" {
		t.Errorf("%v, %v", entries, err)
	}
	if err := Clean(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there was cleaned")
	}
}
