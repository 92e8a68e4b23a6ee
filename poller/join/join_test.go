package join_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/platform/deployment"
	"midplane/poller"
	"midplane/poller/collect/all"
	"midplane/poller/join"
	"midplane/telemetry"
	"midplane/tenants"
	"midplane/tenants/account"
	"midplane/tenants/enrol"
)

// newToken makes a token for a cluster with TLS.
func newToken(t *testing.T, c *testcluster.Cluster, name string) enrol.Token {
	t.Helper()
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var made api.CreatedToken
	if err := c.Admin.Do(ctx, api.TokenCreate, api.CreateToken{Tenant: "acme", Poller: name, PublicKey: key}, &made); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(c.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	text, err := enrol.Token{Tenant: "acme", Poller: event.Producer(name), Servers: made.Servers, Pins: []enrol.Pin{enrol.PinOf(ca)}, JWT: made.JWT, Seed: seed}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := enrol.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// spec is a tenant with a device that is there for sure: the first node.
func spec(t *testing.T, c *testcluster.Cluster) *tenants.Spec {
	t.Helper()
	data, err := testcluster.Tenant("acme").JSON()
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(c.Servers()[0], "tls://"))
	if err != nil {
		t.Fatal(err)
	}
	check := `"address":"127.0.0.1","checks":[{"name":"nats","collector":"tcp","interval":"10s","params":{"port":"` + port + `"}}]`
	s, err := tenants.ParseJSON(bytes.Replace(data, []byte(`"address":"127.0.0.1"`), []byte(check), 1))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// With TLS: the CA comes from the handshake, what is kept is all that a poller
// needs, and the same token in the same folder just goes on.
func TestJoin(t *testing.T) {
	var logs safeBuffer
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := testcluster.Start(t, testcluster.Options{TLS: true, NoSync: true, Tel: &tel})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := c.Apply(ctx, spec(t, c), api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen); err != nil {
		t.Fatal(err)
	}
	tok := newToken(t, c, "new-01")
	dir := t.TempDir()
	// The answer cannot be kept: the same key asks again.
	blocked := filepath.Join(dir, "poller.creds")
	if err := os.MkdirAll(filepath.Join(blocked, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := join.Join(ctx, dir, tok, tel); err == nil {
		t.Fatal("joined into a folder that takes nothing")
	}
	if err := os.RemoveAll(blocked); err != nil {
		t.Fatal(err)
	}
	id, err := join.Join(ctx, dir, tok, tel)
	if err != nil {
		t.Fatal(err)
	}
	if id.Tenant != "acme" || id.Site != "syd" || id.Poller != "new-01" || id.Token != tok.ID || len(id.Servers) != 3 {
		t.Errorf("%+v", id)
	}
	for name, mode := range map[string]os.FileMode{"poller.creds": 0o600, "joined.json": 0o600, "ca.crt": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "join.key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the key is still there twice: %v", err)
	}
	ours, _ := os.ReadFile(deployment.CAFile(c.Deployment()))
	kept, _ := os.ReadFile(id.CA)
	if !bytes.Equal(ours, kept) {
		t.Error("the CA that was kept is another one")
	}
	creds, err := os.ReadFile(id.Creds)
	if err != nil {
		t.Fatal(err)
	}
	if user, err := account.ReadCreds(creds); err != nil || user.Name != "new-01" || user.Expires.IsZero() || bytes.Equal(user.Seed, tok.Seed) {
		t.Errorf("%+v: %v", user.Name, err)
	}
	nc, err := c.Connect(id.Creds, "new-01")
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()

	again, err := join.Join(ctx, dir, tok, tel)
	if err != nil || again.Token != id.Token || !again.Joined.Equal(id.Joined) {
		t.Errorf("the same token again: %+v %v", again, err)
	}
	if now, _ := os.ReadFile(id.Creds); !bytes.Equal(now, creds) {
		t.Error("the credentials were changed")
	}
	if _, err := join.Join(ctx, t.TempDir(), tok, tel); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "used already") {
		t.Errorf("elsewhere: %v", err)
	}
	other := newToken(t, c, "new-02")
	if _, err := join.Join(ctx, dir, other, tel); !fault.Is(err, fault.Conflict) {
		t.Errorf("another poller into this folder: %v", err)
	}
	if id, err := join.Join(ctx, t.TempDir(), other, tel); err != nil || id.Poller != "new-02" {
		t.Errorf("the other token was hurt by that: %v", err)
	}
	for what, secret := range map[string]string{"the token's seed": string(tok.Seed), "the token's JWT": tok.JWT, "the poller's JWT": jwtOf(t, creds), "the poller's seed": seedOf(t, creds)} {
		if strings.Contains(logs.String(), secret) {
			t.Errorf("%s is in the log", what)
		}
	}
	runs(ctx, t, c)
}

// runs measures from the token to the first reading in the stream.
func runs(ctx context.Context, t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	inspector := c.As(t, "acme", account.RoleInspector, "ann")
	tok := newToken(t, c, "syd-01") // declared, with a device to ping
	dir := t.TempDir()
	began := time.Now()
	id, err := join.Join(ctx, dir, tok, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	joined := time.Since(began)
	p, err := poller.New(poller.Config{User: string(id.Poller), Dir: dir, CredsFile: id.Creds, Servers: id.Servers, CAFile: id.CA, Collectors: all.Collectors(), Version: "test"}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	rctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- p.Run(rctx) }()
	defer func() { stop(); <-done }()
	for {
		msg, err := inspector.Request("$JS.API.STREAM.MSG.GET.STATE", []byte(`{"last_by_subj":"state.syd.r1.`+string(event.TypeReachability)+`"}`), 5*time.Second)
		if err == nil && strings.Contains(string(msg.Data), `"message"`) {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("no reading came")
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("joined after %s, first reading in the stream after %s", joined.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

func jwtOf(t *testing.T, creds []byte) string {
	u, err := account.ReadCreds(creds)
	if err != nil {
		t.Fatal(err)
	}
	return u.JWT
}

func seedOf(t *testing.T, creds []byte) string {
	u, err := account.ReadCreds(creds)
	if err != nil {
		t.Fatal(err)
	}
	return string(u.Seed)
}

// safeBuffer is written by many.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
