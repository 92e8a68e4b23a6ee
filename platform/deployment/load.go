package deployment

import (
	"errors"
	"io/fs"
	"path/filepath"

	"midplane/fault"
	"midplane/tenants/account"
)

// Secrets are the keys a node works with. They come from the files of its
// folder and stay in memory.
type Secrets struct {
	OperatorSigning []byte       `json:"operatorSigning"` // seed; signs tenants' accounts
	System          account.Keys `json:"system"`
	Control         account.Keys `json:"control"`
	Enrol           account.Keys `json:"enrol,omitzero"`
	Master          string       `json:"-"` // master key of the registry, in a file of its own or the environment
}

// Node is what a node's folder holds.
type Node struct {
	NodeFile
	OperatorJWT  string            // path
	Accounts     map[string]string // JWTs of the accounts that a deployment begins with, by key
	Secrets      Secrets
	StoreKey     string // in base64; "": the store is not encrypted
	Certificates *TLS   // nil without TLS
}

// LoadNode reads a node's folder.
func LoadNode(dir string) (Node, error) {
	n := Node{OperatorJWT: filepath.Join(dir, fileOperator)}
	if err := readJSON(filepath.Join(dir, fileNode), &n.NodeFile); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return n, fault.WithHint(fault.New(fault.NotFound, "%s is not a node's folder", dir), "it is nodes/<name> of what midplane init made")
		}
		return n, err
	}
	switch err := readJSON(filepath.Join(dir, fileSecrets), &n.Secrets); {
	case errors.Is(err, fs.ErrNotExist):
		return n, fault.WithHint(fault.Wrap(fault.NotFound, err, "secrets of node %s", n.Name), "restore it from a copy: it cannot be made again")
	case err != nil:
		return n, fault.Wrap(fault.Other, err, "secrets of node %s", n.Name)
	}
	var err error
	if n.Secrets.Master, err = ownKey(dir, fileMaster, EnvMaster, "master key"); err != nil {
		return n, err
	}
	if n.EncryptAtRest {
		if n.StoreKey, err = StoreKey(dir); err != nil {
			return n, err
		}
	}
	if err := n.loadHubs(filepath.Join(dir, "accounts")); err != nil {
		return n, err
	}
	if n.TLS {
		certs, err := newCertificates(filepath.Join(dir, "tls"), n.Peers)
		if err != nil {
			return n, err
		}
		n.Certificates = certs.tls()
	}
	return n, nil
}
