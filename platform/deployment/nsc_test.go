package deployment_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"midplane/fault"
	"midplane/platform/deployment"
)

// The store that nsc keeps: every claim is where its name says, every key that
// signed one is in the key store under its public key, and everything is for its
// owner only.
func TestExportNsc(t *testing.T) {
	dir, out := made(t), filepath.Join(t.TempDir(), "nsc")
	identity, err := deployment.ExportNsc(dir, out)
	if err != nil || !identity {
		t.Fatal(identity, err)
	}
	sum, err := deployment.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(out, "stores", sum.Name)
	var info struct {
		Managed       bool
		Name, Kind    string
		VersionString string `json:"version"`
	}
	if err := json.Unmarshal(read(t, store, ".nsc"), &info); err != nil || info.Name != sum.Name || info.Kind != "operator" || info.VersionString != "1" || info.Managed {
		t.Errorf("%+v %v", info, err)
	}
	has := func(public string) {
		t.Helper()
		kp, err := nkeys.FromSeed(read(t, out, "keys", "keys", public[:1], public[1:3], public+".nk"))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := kp.PublicKey(); got != public {
			t.Errorf("%s holds the key %s", public, got)
		}
	}
	op, err := jwt.DecodeOperatorClaims(string(read(t, store, sum.Name+".jwt")))
	if err != nil {
		t.Fatal(err)
	}
	has(op.Subject)
	for _, k := range op.SigningKeys {
		has(k)
	}
	var control *jwt.AccountClaims
	for _, name := range []string{"SYS", "CONTROL", "ENROL"} {
		c, err := jwt.DecodeAccountClaims(string(read(t, store, "accounts", name, name+".jwt")))
		if err != nil || c.Name != name || !op.DidSign(c) || !c.Limits.DisallowBearer {
			t.Fatalf("%s: %+v %v", name, c, err)
		}
		has(c.Subject)
		for k := range c.SigningKeys {
			has(k)
		}
		if name == "CONTROL" {
			control = c
		}
	}
	u, err := jwt.DecodeUserClaims(string(read(t, store, "accounts", "CONTROL", "users", sum.Admin+".jwt")))
	if err != nil || !control.DidSign(u) || u.Name != sum.Admin {
		t.Fatalf("%+v %v", u, err)
	}
	has(u.Subject)
	if creds := read(t, out, "keys", "creds", sum.Name, "CONTROL", sum.Admin+".creds"); !strings.Contains(string(creds), "BEGIN NATS USER JWT") {
		t.Error("no credentials")
	}
	err = filepath.WalkDir(out, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && path != out && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deployment.ExportNsc(dir, out); fault.KindOf(err) != fault.Conflict {
		t.Errorf("over what is there: %v", err)
	}
	// Without the operator's identity key all else is exported.
	if err := os.RemoveAll(filepath.Join(dir, "offline")); err != nil {
		t.Fatal(err)
	}
	if identity, err := deployment.ExportNsc(dir, filepath.Join(t.TempDir(), "again")); err != nil || identity {
		t.Error(identity, err)
	}
}
