package deployment

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"midplane/fault"
	"midplane/tenants/account"
)

// ExportNsc writes what nsc, the tool of NATS for operators, keeps for an
// operator: below stores/ the JWTs of the operator, of the accounts that a
// deployment begins with and of the first admin, below keys/ their seeds. Tenants
// are in the registry and not among them. identity reports whether the
// operator's identity key, which is in offline/, was there to be exported.
func ExportNsc(dir, out string) (identity bool, err error) {
	sum, err := Read(dir)
	if err != nil {
		return false, err
	}
	if entries, err := os.ReadDir(out); err == nil && len(entries) > 0 {
		return false, fault.WithHint(fault.New(fault.Conflict, "%s is not empty", out), "name a folder that is new")
	}
	var s Secrets
	node := NodeDir(dir, sum.Nodes[0])
	if err := readJSON(filepath.Join(node, fileSecrets), &s); err != nil {
		return false, fault.WithHint(fault.Wrap(fault.NotFound, err, "secrets of node %s", sum.Nodes[0]), "copy the node's folder to %s", node)
	}
	operator, err := os.ReadFile(filepath.Join(dir, fileOperator))
	if err != nil {
		return false, fault.Wrap(fault.NotFound, err, "operator")
	}
	store := "stores/" + sum.Name + "/"
	w := &writer{dir: out}
	info, err := json.Marshal(map[string]any{"managed": false, "name": sum.Name, "kind": "operator", "version": "1"})
	if err != nil {
		return false, fault.Wrap(fault.Other, err, "encode .nsc")
	}
	w.secret(store+".nsc", info)
	w.secret(store+sum.Name+".jwt", operator)
	n := nscKeys{w}
	switch id, err := os.ReadFile(filepath.Join(dir, fileIdentity)); {
	case err == nil:
		identity = true
		n.key(id)
	case !errors.Is(err, fs.ErrNotExist):
		return false, fault.Wrap(fault.Other, err, "operator key")
	}
	n.key(s.OperatorSigning)
	for name, keys := range map[string]account.Keys{"SYS": s.System, "CONTROL": s.Control, "ENROL": s.Enrol} {
		token, err := os.ReadFile(filepath.Join(node, "accounts", keys.Public+".jwt"))
		if errors.Is(err, fs.ErrNotExist) && name == "ENROL" {
			continue // a deployment of an older version: its nodes derive it
		}
		if err != nil {
			return false, fault.Wrap(fault.NotFound, err, "account %s", name)
		}
		w.secret(store+"accounts/"+name+"/"+name+".jwt", token)
		n.key(keys.Seed)
		for _, seed := range keys.Roles {
			n.key(seed)
		}
	}
	creds, err := os.ReadFile(AdminCreds(dir, sum.Admin))
	if errors.Is(err, fs.ErrNotExist) {
		return identity, w.err // taken away, as it may be
	}
	if err != nil {
		return false, fault.Wrap(fault.Other, err, "credentials of %s", sum.Admin)
	}
	admin, err := account.ReadCreds(creds)
	if err != nil {
		return false, err
	}
	w.secret(store+"accounts/CONTROL/users/"+sum.Admin+".jwt", []byte(admin.JWT))
	w.secret("keys/creds/"+sum.Name+"/CONTROL/"+sum.Admin+".creds", creds)
	n.key(admin.Seed)
	return identity, w.err
}

// nscKeys writes seeds where nsc looks for them: by type and first two letters.
type nscKeys struct{ w *writer }

func (n nscKeys) key(seed []byte) {
	public, err := account.PublicOf(seed)
	if err != nil {
		if n.w.err == nil {
			n.w.err = err
		}
		return
	}
	n.w.secret("keys/keys/"+public[:1]+"/"+public[1:3]+"/"+public+".nk", seed)
}
