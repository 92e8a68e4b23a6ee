package deployment

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"midplane/fault"
)

// TestFilesAreWhole: a reader that looks while a file is written, or after the
// writer was killed, finds nothing or all of it.
func TestFilesAreWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileDone)
	data := bytes.Repeat([]byte("x"), 16<<20)
	done := make(chan error, 1)
	go func() { done <- whole(path, data, 0o600) }()
	for looks := 0; ; looks++ {
		got, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("look %d found %d of %d bytes, %v", looks, len(got), len(data), err)
		}
		break
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := whole(path, nil, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("a file that is there was written: %v", err)
	}
}

// TestCutOffWhileWriting: an Init that was killed in the middle of any file is
// made up for by the next one.
func TestCutOffWhileWriting(t *testing.T) {
	plan := Plan{Name: "midplane", Admin: "admin", Primary: "primary-1", Nodes: []NodePlan{{Name: "n1", Client: "127.0.0.1:0", Route: "127.0.0.1:0"}}}
	for _, name := range []string{
		".atomic-" + fileDone + "-17", ".atomic-" + fileOperator + "-17", "nodes/n1/.atomic-" + fileSecrets + "-17", "offline/.atomic-operator.nk-17",
		fileDone + partial, fileOperator + partial, "primary/core.creds" + partial, // of an older version
	} {
		dir := t.TempDir()
		part := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(part), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(part, []byte(`{"na`), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(dir); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s cut off: it counts as a deployment: %v", name, err)
		}
		if made, err := Init(dir, plan); err != nil || !made {
			t.Errorf("%s cut off: made %v, %v", name, made, err)
		}
		if _, err := os.Stat(part); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}
