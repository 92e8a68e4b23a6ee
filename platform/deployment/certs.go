package deployment

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/fault"
)

// expirySoon is how long before its end a certificate is worth a warning.
const expirySoon = 30 * 24 * time.Hour

// readEvery is how often handshakes look whether a file has changed.
const readEvery = time.Second

// certificates are a node's TLS files. They are read when a handshake begins,
// so that new ones take effect without a restart and without a change to the
// server; connections that are open stay as they are. Files that cannot be used
// change nothing: the node goes on with what it has, and reports it.
type certificates struct {
	dir   string
	peers []string // hosts of the nodes' routes

	mu      sync.Mutex
	read    time.Time
	now     *material
	problem error // of the newest files
}

// material is the content of the files at one time.
type material struct {
	raw               [][]byte
	client, route     tls.Certificate
	clientCA, routeCA *x509.CertPool
	accept            *tls.Config // of clients
	join              *tls.Config // of other nodes, as they come in
}

// The files of a node's folder tls.
var tlsFiles = []string{"client.crt", "client.key", "route.crt", "route.key", "client-ca.crt", "route-ca.crt"}

// newCertificates reads the files for the first time.
func newCertificates(dir string, peers []string) (*certificates, error) {
	c := &certificates{dir: dir}
	for _, p := range peers {
		if host, _, err := net.SplitHostPort(p); err == nil {
			c.peers = append(c.peers, host)
		}
	}
	m := c.current()
	if m == nil {
		return nil, c.problem
	}
	return c, nil
}

// current returns what new connections are made with.
func (c *certificates) current() *material {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil && time.Since(c.read) < readEvery {
		return c.now
	}
	c.read = time.Now()
	raw := make([][]byte, len(tlsFiles))
	for i, name := range tlsFiles {
		var err error
		if raw[i], err = os.ReadFile(filepath.Join(c.dir, name)); err != nil {
			c.problem = fault.Wrap(fault.NotFound, err, "certificates")
			return c.now
		}
	}
	if c.now != nil && slices.EqualFunc(raw, c.now.raw, bytes.Equal) {
		c.problem = nil
		return c.now
	}
	m, err := newMaterial(raw)
	if c.problem = err; err != nil {
		return c.now
	}
	c.now = m
	return m
}

func newMaterial(raw [][]byte) (*material, error) {
	m := &material{raw: raw}
	var err error
	if m.client, err = tls.X509KeyPair(raw[0], raw[1]); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "client.crt and client.key")
	}
	if m.route, err = tls.X509KeyPair(raw[2], raw[3]); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "route.crt and route.key")
	}
	m.clientCA, m.routeCA = x509.NewCertPool(), x509.NewCertPool()
	if !m.clientCA.AppendCertsFromPEM(raw[4]) || !m.routeCA.AppendCertsFromPEM(raw[5]) {
		return nil, fault.New(fault.Invalid, "client-ca.crt or route-ca.crt holds no certificate")
	}
	// A node whose peers would refuse it stays with what it has.
	for _, pair := range []struct {
		name string
		cert tls.Certificate
		pool *x509.CertPool
	}{{"client.crt", m.client, m.clientCA}, {"route.crt", m.route, m.routeCA}} {
		if err := belongs(chainOf(pair.cert), pair.pool); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s is not of the CA beside it", pair.name)
		}
	}
	// The CA goes with the certificate: a client that has only its fingerprint
	// learns it from the handshake.
	shown := m.client
	shown.Certificate = append(slices.Clone(shown.Certificate), ders(raw[4])...)
	m.accept = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{shown}, SessionTicketsDisabled: true}
	m.join = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{m.route}, SessionTicketsDisabled: true,
		ClientCAs: m.routeCA, ClientAuth: tls.RequireAndVerifyClientCert}
	return m, nil
}

// ders returns the certificates of a PEM text.
func ders(text []byte) (out [][]byte) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return out
		}
		if block.Type == "CERTIFICATE" {
			out = append(out, block.Bytes)
		}
	}
}

func chainOf(c tls.Certificate) (out []*x509.Certificate) {
	for _, der := range c.Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil {
			out = append(out, cert)
		}
	}
	return out
}

// verify checks the chain of a server as crypto/tls does.
func verify(chain []*x509.Certificate, roots *x509.CertPool, host string, at time.Time) error {
	if len(chain) == 0 {
		return fault.New(fault.Denied, "no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: host, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// belongs checks a chain at the time its certificate was made: one that has
// ended since is still better than none.
func belongs(chain []*x509.Certificate, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return fault.New(fault.Invalid, "no certificate")
	}
	return verify(chain, roots, "", chain[0].NotBefore)
}

// TLS is what a node does with its certificates. All of it takes new files by
// itself.
type TLS struct {
	Clients *tls.Config   // accepts clients
	Routes  *tls.Config   // accepts other nodes and connects to them, verified both ways
	Peers   []nats.Option // connects to other nodes as a client
	Trouble func() string // what an operator should know of the certificates, "" normally
}

func (c *certificates) tls() *TLS {
	return &TLS{
		Clients: &tls.Config{MinVersion: tls.VersionTLS13,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current().accept, nil }},
		Routes: &tls.Config{
			MinVersion: tls.VersionTLS13,
			// For the nodes that connect to this one.
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current().join, nil },
			ClientAuth:         tls.RequireAndVerifyClientCert,
			// For the nodes that this one connects to. A pool of CAs cannot be changed
			// once the server has it: dialed verifies in place of the library, chain
			// and name, and knows a CA that was added since.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.current().route, nil },
			InsecureSkipVerify:   true,
			VerifyConnection:     c.dialed,
		},
		Peers: []nats.Option{nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13}), func(o *nats.Options) error {
			o.RootCAsCB = func() (*x509.CertPool, error) { return c.current().clientCA, nil }
			return nil
		}},
		Trouble: c.trouble,
	}
}

// dialed verifies the node at the other end of a route that we opened: its
// chain, and that it is the one we meant to reach. The library does not give the
// name when that is an IP address; then it must be one of the nodes'.
func (c *certificates) dialed(s tls.ConnectionState) error {
	pool := c.current().routeCA
	if s.ServerName != "" {
		return verify(s.PeerCertificates, pool, s.ServerName, time.Now())
	}
	err := error(fault.New(fault.Denied, "no node has an IP address"))
	for _, host := range c.peers {
		if net.ParseIP(host) == nil {
			continue
		}
		if err = verify(s.PeerCertificates, pool, host, time.Now()); err == nil {
			return nil
		}
	}
	return err
}

// trouble is what an operator should know of the certificates, "" normally.
func (c *certificates) trouble() string {
	m := c.current()
	c.mu.Lock()
	problem := c.problem
	c.mu.Unlock()
	if problem != nil {
		return "the new certificates cannot be used, the old ones are kept: " + problem.Error()
	}
	var soon []string
	for i, what := range []string{"client.crt", "", "route.crt", "", "client-ca.crt", "route-ca.crt"} {
		if what == "" {
			continue
		}
		for _, der := range ders(m.raw[i]) {
			cert, err := x509.ParseCertificate(der)
			if err == nil && time.Until(cert.NotAfter) < expirySoon {
				soon = append(soon, what+" ends "+cert.NotAfter.UTC().Format(time.RFC3339))
			}
		}
	}
	return strings.Join(soon, ", ")
}
