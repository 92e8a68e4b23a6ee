package people

import (
	"os"
	"path/filepath"
	"testing"

	"midplane/fault"
	"midplane/tenants/account"
)

// A credentials file never appears half written or over a foreign file,
// and a key that may be in use is never lost.
func TestCredsFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.creds")
	first, err := openCreds(path, "acme.x")
	if err != nil {
		t.Fatal(err)
	}
	again, err := openCreds(path, "acme.x")
	if err != nil || again.public != first.public {
		t.Fatalf("another key after an attempt that was cut short: %v", err)
	}
	other, err := openCreds(path, "acme.y")
	if err != nil || other.public == first.public {
		t.Fatalf("two users got one key: %v", err)
	}
	other.abandon()
	keys, err := account.NewKeys(account.TenantRoles)
	if err != nil {
		t.Fatal(err)
	}
	jwt, err := account.IssueUser(keys, account.RoleApp, account.User{Name: "x", Key: first.public})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := first.write(jwt, false); !fault.Is(err, fault.Conflict) {
		t.Fatalf("wrote over a file that has appeared since: %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "precious" {
		t.Fatalf("the file is now %q", data)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := first.write(jwt, false); err != nil {
		t.Fatal(err)
	}
	have, err := openCreds(path, "acme.x")
	if err != nil || have.creds == nil || have.public != first.public {
		t.Fatalf("read back: %v", err)
	}
	names, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(names) > 0 {
		t.Fatalf("left behind: %v %v", names, err)
	}
}

// A pending file that was cut short before the key was sent is no key.
func TestBrokenPendingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.creds")
	f, err := openCreds(path, "acme.x")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(f.pending, 70); err != nil {
		t.Fatal(err)
	}
	g, err := openCreds(path, "acme.x")
	if err != nil || g.public == f.public {
		t.Fatalf("took a broken key: %v", err)
	}
}
