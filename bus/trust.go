package bus

import (
	"crypto/x509"
	"os"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"midplane/fault"
)

// Trust is the CAs of a PEM file, which may change while the program runs: a CA
// is rotated by adding the new one to the file, and no program should have to be
// restarted for that.
type Trust struct {
	file string
	last atomic.Pointer[x509.CertPool]
}

// NewTrust reads file, which must hold a certificate now.
func NewTrust(file string) (*Trust, error) {
	t := &Trust{file: file}
	pool, err := t.read()
	if err != nil {
		return nil, err
	}
	t.last.Store(pool)
	return t, nil
}

// Pool reads the file again and returns its CAs. When the file cannot be read, or
// is being written, Pool returns the CAs of the last time.
func (t *Trust) Pool() *x509.CertPool {
	pool, err := t.read()
	if err != nil {
		return t.last.Load()
	}
	t.last.Store(pool)
	return pool
}

func (t *Trust) read() (*x509.CertPool, error) {
	pem, err := os.ReadFile(t.file)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "CA certificate")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "%s holds no CA certificate in PEM", t.file)
	}
	return pool, nil
}

// Option makes a connection read the CAs again every time it connects.
func (t *Trust) Option() nats.Option {
	return func(o *nats.Options) error {
		o.RootCAsCB = func() (*x509.CertPool, error) { return t.Pool(), nil }
		return nil
	}
}

func trustFile(file string) (nats.Option, error) {
	t, err := NewTrust(file)
	if err != nil {
		return nil, err
	}
	return t.Option(), nil
}
