package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/fault"
)

// Settings of a server may stand in the one file that every command reads, and
// "config view" shows them as the server would find them.
func TestServerSettings(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	file := filepath.Join(dir, "midplane", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("test-only: from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	view := func(args ...string) (string, error) {
		var out strings.Builder
		sh := shell.New("", strings.NewReader(""), &out, &out)
		root := newRootCmd(sh)
		up, _, err := root.Find([]string{"up"})
		if err != nil {
			t.Fatal(err)
		}
		up.Flags().String("test-only", "", "only in this test")
		up.RunE = func(*cobra.Command, []string) error {
			fmt.Fprint(&out, sh.Settings.String("test-only"), " from ", sh.Settings.Origin("test-only"))
			return nil
		}
		root.SetArgs(args)
		err = root.Execute()
		return out.String(), err
	}
	for _, tt := range []struct{ args, want string }{
		{"up", "from-file from file " + file + ":1"},
		{"up --test-only x", "x from flag --test-only"},
		{"config view up -o json", `"value": "from-file"`},
		{"validate --help", "Usage:"},
	} {
		if got, err := view(strings.Fields(tt.args)...); err != nil || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %v, %q", tt.args, err, got)
		}
	}
	if got, err := view("config", "view"); err != nil || strings.Contains(got, "test-only") {
		t.Errorf("a client command has a server's setting: %v, %q", err, got)
	}
	t.Setenv("MIDPLANE_TEST_ONLY", "env")
	if got, err := view("up"); err != nil || !strings.HasPrefix(got, "env from environment") {
		t.Errorf("environment: %v, %q", err, got)
	}
	t.Setenv("MIDPLANE_DRY_RUN", "true")
	if _, err := view("up"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a flag of apply can be set by the environment: %v", err)
	}
}
