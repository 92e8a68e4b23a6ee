package deployment

import (
	"errors"
	"io/fs"
	"path/filepath"

	"midplane/fault"
	"midplane/platform"
	"midplane/platform/node"
)

// LoadNode reads a node's folder into its configuration. data is where the
// node keeps its files.
func LoadNode(dir, data string) (platform.Config, error) {
	var f NodeFile
	if err := readJSON(filepath.Join(dir, fileNode), &f); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return platform.Config{}, fault.WithHint(fault.New(fault.NotFound, "%s is not a node's folder", dir), "it is nodes/<name> of what midplane init made")
		}
		return platform.Config{}, err
	}
	cfg := platform.Config{
		Node: node.Config{
			Name: f.Name, Cluster: f.Cluster, Dir: data, Client: f.Client, Route: f.Route, Peer: f.Peer, Peers: f.Peers,
			OperatorJWT: filepath.Join(dir, fileOperator), System: f.System, Accounts: map[string]string{},
		},
		Advertise: f.Advertise, Replicas: f.Replicas, PeerClients: f.Clients,
	}
	switch err := readJSON(filepath.Join(dir, fileSecrets), &cfg.Secrets); {
	case errors.Is(err, fs.ErrNotExist):
		return cfg, fault.WithHint(fault.Wrap(fault.NotFound, err, "secrets of node %s", f.Name), "restore it from a copy: it cannot be made again")
	case err != nil:
		return cfg, fault.Wrap(fault.Other, err, "secrets of node %s", f.Name)
	}
	master, err := ownKey(dir, fileMaster, EnvMaster, "master key")
	if err != nil {
		return cfg, err
	}
	cfg.Secrets.Master = master
	if f.EncryptAtRest {
		if cfg.Node.StoreKey, err = StoreKey(dir); err != nil {
			return cfg, err
		}
	}
	if err := loadHubs(&cfg, filepath.Join(dir, "accounts")); err != nil {
		return cfg, err
	}
	if f.TLS {
		certs, err := newCertificates(filepath.Join(dir, "tls"), f.Peers)
		if err != nil {
			return cfg, err
		}
		certs.use(&cfg)
	}
	return cfg, nil
}
