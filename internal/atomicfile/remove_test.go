package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestRemoveDirRemovesTheFolderAndNothingElse(t *testing.T) {
	root := t.TempDir()
	dir, beside, through := filepath.Join(root, "a", "gone"), filepath.Join(root, "a", "kept"), filepath.Join(root, "removed")
	for _, d := range []string{filepath.Join(dir, "sub"), beside} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "file"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time it is not there
		if err := RemoveDir(dir, through); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
	if _, err := os.Stat(filepath.Join(beside, "file")); err != nil {
		t.Errorf("its neighbour: %v", err)
	}
	if left, err := os.ReadDir(through); err != nil || len(left) > 0 {
		t.Errorf("left on the way: %v, %v", left, err)
	}
}
