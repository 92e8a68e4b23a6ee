package deployment

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"

	"midplane/fault"
)

// Lives of certificates. They are renewed by a command (rotate.go), and every
// node warns of its own a month before.
const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 365 * 24 * time.Hour
)

// authority is one CA.
type authority struct {
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	pem    []byte
	keyPEM []byte
	life   time.Duration // of the certificates it signs; 0: leafLife
}

// authorities are the two CAs: a certificate for clients' TLS is not good for
// joining the routes.
type authorities struct{ client, route *authority }

func newAuthorities(name string) (*authorities, error) {
	client, err := newAuthority(name + " clients")
	if err != nil {
		return nil, err
	}
	route, err := newAuthority(name + " routes")
	return &authorities{client, route}, err
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "make the key of the CA")
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1, // the CA that comes after it
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "make the CA")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "make the CA")
	}
	keyPEM, err := pemKey(key)
	return &authority{cert: cert, key: key, pem: pemCert(der), keyPEM: keyPEM}, err
}

// issue writes a node's certificates: one for clients, one for routes, with
// the CA of the routes beside it.
func (a *authorities) issue(w *writer, dir string, n NodePlan) error {
	if err := a.client.leaf(w, dir+"client", n.Name, []string{n.Client, n.Advertise}, nil); err != nil {
		return err
	}
	if err := a.route.leaf(w, dir+"route", n.Name, []string{n.Route, n.Peer}, nil); err != nil {
		return err
	}
	w.file(dir+"client-ca.crt", a.client.pem, 0o644)
	w.file(dir+"route-ca.crt", a.route.pem, 0o644)
	return w.err
}

// leaf issues one certificate for the hosts of addrs; more, when there is any,
// is a certificate that is shown with it.
func (a *authority) leaf(w *writer, name, node string, addrs []string, more []byte) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fault.Wrap(fault.Other, err, "make the key of %s", node)
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: node},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(cmp.Or(a.life, leafLife)),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, addr := range addrs {
		if addr == "" { // a cluster of one has no routes
			continue
		}
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return fault.New(fault.Invalid, "node %s: address %q is not host:port", node, addr)
		}
		if ip := net.ParseIP(host); ip != nil {
			if !ip.IsUnspecified() {
				tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
			}
		} else if host != "" {
			tmpl.DNSNames = append(tmpl.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		return fault.Wrap(fault.Other, err, "certificate of %s", node)
	}
	keyPEM, err := pemKey(key)
	if err != nil {
		return err
	}
	text := pemCert(der)
	if more != nil {
		text = append(text, pemCert(more)...)
	}
	w.secret(name+".key", keyPEM)
	w.file(name+".crt", text, 0o644)
	return w.err
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails
	return n
}

func pemCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func pemKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "encode a key")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
