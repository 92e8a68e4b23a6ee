package join

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/url"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"

	"midplane/fault"
	"midplane/tenants/enrol"
)

// guard lets a connection go on only when the server's certificate comes from a
// CA that the token names. The CA travels with the certificate; its fingerprint
// says whether it is the right one. The check is part of the handshake: a
// server that fails it has been sent nothing.
type guard struct {
	pins []enrol.Pin
	host string // that the certificate must be for

	mu    sync.Mutex
	cas   []*x509.Certificate
	wrong error
}

func newGuard(pins []enrol.Pin, server string) (*guard, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "server")
	}
	return &guard{pins: pins, host: u.Hostname()}, nil
}

// impostorError says that a server is not of the cluster that made the token.
type impostorError struct{ error }

// Unwrap gives it the class of what was found.
func (e *impostorError) Unwrap() error { return e.error }

// options is empty for a token without a pin, which is for this machine only.
func (g *guard) options() []nats.Option {
	if len(g.pins) == 0 {
		return nil
	}
	return []nats.Option{nats.Secure(&tls.Config{
		MinVersion: tls.VersionTLS13,
		// There is no CA yet that the usual check could go by; verify does all of it.
		InsecureSkipVerify: true,
		VerifyConnection:   g.verify,
	})}
}

func (g *guard) verify(cs tls.ConnectionState) error {
	cas, err := g.check(cs)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.wrong = err
		return err
	}
	g.cas = cas
	return nil
}

// check returns the CAs that the token names and the server shows. While a
// deployment exchanges its CA there are two.
func (g *guard) check(cs tls.ConnectionState) (cas []*x509.Certificate, err error) {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for i, c := range cs.PeerCertificates {
		switch {
		case c.IsCA && slices.Contains(g.pins, enrol.PinOf(c)):
			cas = append(cas, c)
			roots.AddCert(c)
		case i > 0:
			between.AddCert(c)
		}
	}
	if len(cas) == 0 {
		return nil, fault.New(fault.Denied, "the server's certificate does not come from the CA that the token names")
	}
	_, err = cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: g.host})
	return cas, fault.Wrap(fault.Denied, err, "the server's certificate")
}

// authorities returns the CAs of the connection in PEM, nil without TLS.
func (g *guard) authorities() (text []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, ca := range g.cas {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})...)
	}
	return text
}

// explain says why there is no connection.
func (g *guard) explain(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if errors.Is(err, nats.ErrSecureConnWanted) {
		g.wrong = errors.New("the server does not speak TLS")
	}
	switch {
	case g.wrong != nil:
		return &impostorError{fault.WithHint(fault.Wrap(fault.Denied, g.wrong, "nothing was sent to %s", g.host),
			"is that the cluster which made the token? Something between may have its address; ask for a new token if its CA was changed")}
	case fault.Is(err, fault.Denied):
		return fault.WithHint(fault.New(fault.Denied, "the nodes do not let the token in: it is expired, or of another deployment"), "ask for a new one: midplane token create")
	}
	return err
}
