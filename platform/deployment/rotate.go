package deployment

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"midplane/fault"
)

// The two kinds of certificates of a node, each under a CA of its own.
const (
	kindClient = "client"
	kindRoute  = "route"
)

// Certificate is one of a node's certificates, as "rotate status" shows it.
type Certificate struct {
	Node     string    `json:"node"`
	Kind     string    `json:"kind"` // client or route
	Serial   string    `json:"serial"`
	CA       string    `json:"ca"`     // fingerprint of the CA that signed it, shortened
	Trusts   int       `json:"trusts"` // CAs in the bundle beside it: two while one is rotated out
	NotAfter time.Time `json:"notAfter"`
}

// folder is a deployment folder whose certificates are changed.
type folder struct {
	dir   string
	sum   Summary
	nodes []NodePlan
}

func openFolder(dir string) (*folder, error) {
	f := &folder{dir: dir}
	var err error
	if f.sum, err = Read(dir); err != nil {
		return nil, err
	}
	if !f.sum.TLS {
		return nil, fault.New(fault.Invalid, "%s is a deployment without TLS", dir)
	}
	for _, name := range f.sum.Nodes {
		var n NodeFile
		if err := readJSON(filepath.Join(NodeDir(dir, name), fileNode), &n); err != nil {
			return nil, fault.WithHint(fault.Wrap(fault.NotFound, err, "node %s", name), "the folder of every node must be below %s: copy it there from the node's machine", filepath.Join(dir, "nodes"))
		}
		f.nodes = append(f.nodes, NodePlan{Name: name, Client: n.Client, Route: n.Route, Peer: n.Peer, Advertise: n.Advertise[strings.LastIndex(n.Advertise, "/")+1:]})
	}
	return f, nil
}

func (f *folder) writer() *writer { return &writer{dir: f.dir, over: true} }

// bundles are the files with the CAs to trust for a kind.
func (f *folder) bundles(kind string) (out []string) {
	if kind == kindClient {
		out = append(out, filepath.Join("tls", "ca.crt"))
	}
	for _, n := range f.nodes {
		out = append(out, filepath.Join("nodes", n.Name, "tls", kind+"-ca.crt"))
	}
	return out
}

// current returns the CA whose key is in offline/, with the certificates of
// its bundle.
func (f *folder) current(kind string) (*authority, [][]byte, error) {
	key, keyPEM, err := readKey(filepath.Join(f.dir, keyFile(kind)))
	if err != nil {
		return nil, nil, err
	}
	bundle, err := os.ReadFile(filepath.Join(f.dir, f.bundles(kind)[0]))
	if err != nil {
		return nil, nil, fault.Wrap(fault.NotFound, err, "CA")
	}
	all := ders(bundle)
	for _, der := range all {
		if cert, err := x509.ParseCertificate(der); err == nil && key.PublicKey.Equal(cert.PublicKey) {
			return &authority{cert: cert, key: key, pem: pemCert(der), keyPEM: keyPEM}, all, nil
		}
	}
	return nil, nil, fault.WithHint(fault.New(fault.Conflict, "%s holds no certificate of the key %s", f.bundles(kind)[0], keyFile(kind)), "are they of the same deployment?")
}

// next returns the CA that is being rotated in, nil when there is none.
func (f *folder) next(kind string) (*authority, error) {
	text, err := os.ReadFile(filepath.Join(f.dir, nextFile(kind, ".crt")))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "next CA")
	}
	cert, err := x509.ParseCertificate(first(ders(text)))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s", nextFile(kind, ".crt"))
	}
	key, keyPEM, err := readKey(filepath.Join(f.dir, nextFile(kind, ".key")))
	if fault.Is(err, fault.NotFound) { // it has taken its place already
		key, keyPEM, err = readKey(filepath.Join(f.dir, keyFile(kind)))
	}
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fault.New(fault.Conflict, "%s is not of the key beside it", nextFile(kind, ".crt"))
	}
	return &authority{cert: cert, key: key, pem: text, keyPEM: keyPEM}, nil
}

func keyFile(kind string) string       { return filepath.Join("offline", kind+"-ca.key") }
func nextFile(kind, ext string) string { return filepath.Join("offline", "next", kind+"-ca"+ext) }

func first(list [][]byte) []byte {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func readKey(path string) (*ecdsa.PrivateKey, []byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fault.WithHint(fault.Wrap(fault.NotFound, err, "key of the CA"), "bring the folder offline/ back for this command, and take it away again")
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, nil, fault.New(fault.Invalid, "%s is not a key in PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "%s is not a key", path) // never what it holds
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fault.New(fault.Invalid, "%s is not an ECDSA key", path)
	}
	return ec, data, nil
}

// cross returns the certificate of ca signed by another CA: with it a client that
// trusts only the other one verifies what ca signed.
func (a *authority) cross(ca *authority) ([]byte, error) {
	now := time.Now()
	end := a.cert.NotAfter
	if ca.cert.NotAfter.Before(end) {
		end = ca.cert.NotAfter
	}
	tmpl := &x509.Certificate{SerialNumber: serial(), Subject: ca.cert.Subject, NotBefore: now.Add(-time.Hour), NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: ca.cert.SubjectKeyId}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, ca.key.Public(), a.key)
	return der, fault.Wrap(fault.Other, err, "sign one CA with the other")
}

// RenewCertificates gives every node new certificates from the CAs that sign
// now. Nodes take them without a restart once they are in their folders.
func RenewCertificates(dir string) ([]Certificate, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	w := f.writer()
	for _, kind := range []string{kindClient, kindRoute} {
		ca, _, err := f.current(kind)
		if err != nil {
			return nil, err
		}
		next, err := f.next(kind)
		if err != nil {
			return nil, err
		}
		var extra []byte
		if next != nil {
			issued, err := f.issuedBy(kind, next)
			if err != nil {
				return nil, err
			}
			if ca, extra, err = pair(ca, next, issued); err != nil {
				return nil, err
			}
		}
		if err := f.issue(w, kind, ca, extra); err != nil {
			return nil, err
		}
	}
	return Certificates(dir)
}

// pair returns the one of two CAs that signs now, and the other's signature of it.
func pair(old, next *authority, issued bool) (*authority, []byte, error) {
	if issued {
		der, err := old.cross(next)
		return next, der, err
	}
	der, err := next.cross(old)
	return old, der, err
}

func (f *folder) issue(w *writer, kind string, ca *authority, extra []byte) error {
	for _, n := range f.nodes {
		addrs := []string{n.Client, n.Advertise}
		if kind == kindRoute {
			addrs = []string{n.Route, n.Peer}
		}
		if err := ca.leaf(w, filepath.Join("nodes", n.Name, "tls", kind), n.Name, addrs, extra); err != nil {
			return err
		}
	}
	return w.err
}

// leaves returns each node's certificate of a kind, with what its file holds.
func (f *folder) leaves(kind string) (certs []*x509.Certificate, err error) {
	for _, n := range f.nodes {
		path := filepath.Join(NodeDir(f.dir, n.Name), "tls", kind+".crt")
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fault.Wrap(fault.NotFound, err, "certificate of node %s", n.Name)
		}
		cert, err := x509.ParseCertificate(first(ders(text)))
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s", path)
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

// issuedBy reports whether every node has a certificate of ca.
func (f *folder) issuedBy(kind string, ca *authority) (bool, error) {
	certs, err := f.leaves(kind)
	if err != nil {
		return false, err
	}
	for _, c := range certs {
		if c.CheckSignatureFrom(ca.cert) != nil {
			return false, nil
		}
	}
	return true, nil
}

// Certificates returns what every node has, by node and kind.
func Certificates(dir string) ([]Certificate, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	var out []Certificate
	for _, kind := range []string{kindClient, kindRoute} {
		certs, err := f.leaves(kind)
		if err != nil {
			return nil, err
		}
		for i, c := range certs {
			bundle, err := os.ReadFile(filepath.Join(NodeDir(dir, f.nodes[i].Name), "tls", kind+"-ca.crt"))
			if err != nil {
				return nil, fault.Wrap(fault.NotFound, err, "CA of node %s", f.nodes[i].Name)
			}
			out = append(out, Certificate{Node: f.nodes[i].Name, Kind: kind, Serial: c.SerialNumber.Text(16), CA: signer(c, ders(bundle)),
				Trusts: len(ders(bundle)), NotAfter: c.NotAfter.UTC()})
		}
	}
	return out, nil
}

// signer returns the shortened fingerprint of the one that signed c.
func signer(c *x509.Certificate, bundle [][]byte) string {
	for _, der := range bundle {
		ca, err := x509.ParseCertificate(der)
		if err == nil && c.CheckSignatureFrom(ca) == nil {
			sum := sha256.Sum256(der)
			return hex.EncodeToString(sum[:4])
		}
	}
	return ""
}

func has(bundle [][]byte, cert *x509.Certificate) bool {
	for _, der := range bundle {
		if bytes.Equal(der, cert.Raw) {
			return true
		}
	}
	return false
}
