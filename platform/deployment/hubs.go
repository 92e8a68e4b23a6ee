package deployment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"midplane/fault"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// hubs signs the JWTs of the accounts that a deployment begins with, by key.
func hubs(signer *account.Signer, s Secrets) (map[string]string, error) {
	out := map[string]string{}
	add := func(keys account.Keys, token string, err error) error {
		out[keys.Public] = token
		return err
	}
	token, err := signer.System(s.System)
	if err := add(s.System, token, err); err != nil {
		return nil, err
	}
	token, err = signer.Control(s.Control, registry.ControlStorage)
	if err := add(s.Control, token, err); err != nil {
		return nil, err
	}
	token, err = signer.Enrol(s.Enrol, s.Control)
	return out, add(s.Enrol, token, err)
}

// loadHubs reads the accounts that a deployment began with. One that was made
// by an older version of the program permits less, or is not there at all: it is
// signed again, in memory, with keys to which every node comes by itself.
func (n *Node) loadHubs(dir string) error {
	var err error
	s := &n.Secrets
	if s.Enrol.Public == "" {
		if s.Enrol, err = account.Derived(s.Control, "ENROL", account.EnrolRoles); err != nil {
			return err
		}
	}
	signer, err := account.NewSigner(s.OperatorSigning)
	if err != nil {
		return err
	}
	want, err := hubs(signer, *s)
	if err != nil {
		return err
	}
	n.Accounts = map[string]string{}
	for key, token := range want {
		data, err := os.ReadFile(filepath.Join(dir, key+".jwt"))
		switch stored := strings.TrimSpace(string(data)); {
		case err == nil && account.Same(stored, token):
			n.Accounts[key] = stored
		case err == nil, errors.Is(err, fs.ErrNotExist) && key == s.Enrol.Public:
			n.Accounts[key] = token
		default:
			return fault.Wrap(fault.NotFound, err, "account of node %s", n.Name)
		}
	}
	return nil
}
