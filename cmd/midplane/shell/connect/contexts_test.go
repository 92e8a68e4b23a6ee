package connect

import (
	"os"
	"path/filepath"
	"testing"
)

// A context that "up" saved and whose folder is gone makes room; any other
// stays, also when its credentials cannot be found.
func TestAbandonedContextMakesRoom(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	save := func(dir, description string) string {
		t.Helper()
		creds := filepath.Join(dir, "admin.creds")
		if err := os.WriteFile(creds, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		name, err := Context{Name: DefaultContext, Servers: "nats://127.0.0.1:4222", Creds: creds, User: "admin", Description: description}.Save()
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	first, second, third := t.TempDir(), t.TempDir(), t.TempDir()
	for _, step := range []struct{ dir, description, want string }{
		{first, "Midplane cluster a", "midplane"},
		{second, OnThisMachine + " (second)", "midplane-2"},
		{second, OnThisMachine + " (second)", "midplane-2"},
		{third, OnThisMachine + " (third)", "midplane-3"},
	} {
		if got := save(step.dir, step.description); got != step.want {
			t.Fatalf("saved as %s, want %s", got, step.want)
		}
	}
	for _, gone := range []string{first, second} {
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
	}
	if got := save(t.TempDir(), "Midplane cluster b"); got != "midplane-2" {
		t.Errorf("saved as %s, want midplane-2", got)
	}
}
