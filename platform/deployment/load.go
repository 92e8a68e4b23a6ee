package deployment

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go"

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
	master, err := masterKey(dir)
	if err != nil {
		return cfg, err
	}
	cfg.Secrets.Master = master
	if err := loadHubs(&cfg, filepath.Join(dir, "accounts")); err != nil {
		return cfg, err
	}
	if f.TLS {
		return cfg, loadTLS(&cfg, filepath.Join(dir, "tls"))
	}
	return cfg, nil
}

// masterKey comes from the environment or from a file that only its owner can read.
func masterKey(dir string) (string, error) {
	if env := os.Getenv(EnvMaster); env != "" {
		return env, nil
	}
	path := filepath.Join(dir, fileMaster)
	info, err := os.Stat(path)
	if err != nil {
		return "", fault.WithHint(fault.Wrap(fault.NotFound, err, "master key"), "put it there, readable by its owner only, or into %s", EnvMaster)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fault.WithHint(fault.New(fault.Denied, "%s can be read by others than its owner", path), "chmod 600 %s", path)
	}
	data, err := os.ReadFile(path)
	return string(data), fault.Wrap(fault.Other, err, "master key")
}

func loadTLS(cfg *platform.Config, dir string) error {
	pair := func(name string) (tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
		return c, fault.Wrap(fault.NotFound, err, "%s certificate", name)
	}
	pool := func(name string) (*x509.CertPool, error) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fault.Wrap(fault.NotFound, err, "CA")
		}
		p := x509.NewCertPool()
		if !p.AppendCertsFromPEM(data) {
			return nil, fault.New(fault.Invalid, "%s holds no certificate", name)
		}
		return p, nil
	}
	client, err := pair("client")
	if err != nil {
		return err
	}
	route, err := pair("route")
	if err != nil {
		return err
	}
	routeCA, err := pool("route-ca.crt")
	if err != nil {
		return err
	}
	clientCA, err := pool("client-ca.crt")
	if err != nil {
		return err
	}
	// The CA goes with the certificate: whoever has only its fingerprint learns
	// it from the handshake.
	if client.Certificate, err = withCA(client.Certificate, filepath.Join(dir, "client-ca.crt")); err != nil {
		return err
	}
	cfg.Node.ClientTLS = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{client}}
	cfg.Node.RouteTLS = &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{route},
		RootCAs: routeCA, ClientCAs: routeCA, ClientAuth: tls.RequireAndVerifyClientCert,
	}
	cfg.PeerOptions = []nats.Option{nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: clientCA})}
	return nil
}

// withCA appends the certificates of a PEM file to a chain.
func withCA(chain [][]byte, file string) ([][]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "CA")
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return chain, nil
		}
		if block.Type == "CERTIFICATE" {
			chain = append(chain, block.Bytes)
		}
	}
}
