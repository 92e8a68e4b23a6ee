//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// user is a user of a tenant with a stock NATS client.
type user struct {
	tenant, name string
	nc           *nats.Conn
	js           jetstream.JetStream
	errs         chan error
}

// as connects with credentials, to the first of servers that answers. The
// caller closes the connection.
func as(t *testing.T, w world, ca, tenant, name, creds string, servers []string) *user {
	t.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", ca)
	}
	u := &user{tenant: tenant, name: name, errs: make(chan error, 64)}
	opts := append([]nats.Option{
		nats.Name(name), nats.UserCredentials(creds), nats.CustomInboxPrefix("_INBOX." + name),
		nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}),
		nats.DontRandomize(), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectBufSize(-1), nats.Timeout(3 * time.Second),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			select {
			case u.errs <- err:
			default:
			}
		}),
	}, w.dial(tenant)...)
	if u.nc, err = nats.Connect(strings.Join(servers, ","), opts...); err != nil {
		t.Fatalf("connect as %s of %s: %v", name, tenant, err)
	}
	if u.js, err = jetstream.New(u.nc, jetstream.WithDefaultTimeout(5*time.Second)); err != nil {
		t.Fatal(err)
	}
	return u
}

// mayNotPublish checks that the server refuses a subject.
func (u *user) mayNotPublish(t *testing.T, subj string, data []byte) {
	t.Helper()
	u.drain()
	if err := u.nc.PublishRequest(subj, u.nc.NewInbox(), data); err != nil {
		t.Fatal(err)
	}
	u.refused(t, "publish to "+subj)
}

// mayNotListen checks that the server refuses a subscription.
func (u *user) mayNotListen(t *testing.T, subj string) {
	t.Helper()
	u.drain()
	sub, err := u.nc.SubscribeSync(subj)
	if err != nil {
		t.Fatal(err)
	}
	u.refused(t, "subscribe to "+subj)
	_ = sub.Unsubscribe()
}

func (u *user) drain() {
	for {
		select {
		case <-u.errs:
		default:
			return
		}
	}
}

func (u *user) refused(t *testing.T, what string) {
	t.Helper()
	select {
	case err := <-u.errs:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s of %s may not %s, but received %v", u.name, u.tenant, what, err)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%s of %s may %s: nothing was refused", u.name, u.tenant, what)
	}
}
