package renew_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/nats-io/nkeys"

	"midplane/api"
	"midplane/bus"
	"midplane/bus/renew"
	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/telemetry"
	"midplane/tenants/account"
)

const user = "syd-01"

// world is a real server in operator mode, which looks at every JWT and its
// end, and the service that gives new ones.
type world struct {
	*server.Server
	t       *testing.T
	account nkeys.KeyPair
	key     string // of the user
	file    string // its credentials
	log     *text

	mu     sync.Mutex
	asked  int
	answer func(n int) (any, error) // to the n-th request, from 1
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newWorld starts the server. The service gives JWTs that live for an hour.
func newWorld(t *testing.T) *world {
	t.Helper()
	operator := must(nkeys.CreateOperator())(t)
	w := &world{t: t, account: must(nkeys.CreateAccount())(t), log: &text{}}
	w.answer = func(int) (any, error) { return w.renewed(user, time.Hour), nil }
	key := must(w.account.PublicKey())(t)
	claims := jwt.NewAccountClaims(key)
	accounts := &server.MemAccResolver{}
	if err := accounts.Store(key, must(claims.Encode(operator))(t)); err != nil {
		t.Fatal(err)
	}
	w.Server = must(server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, AccountResolver: accounts,
		TrustedOperators: []*jwt.OperatorClaims{jwt.NewOperatorClaims(must(operator.PublicKey())(t))}}))(t)
	w.Start()
	if !w.ReadyForConnections(testwait.Patience) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() { w.Shutdown(); w.WaitForShutdown() })
	w.serve()
	var seed []byte
	var err error
	w.key, seed, err = account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	w.file = filepath.Join(t.TempDir(), user+".creds")
	w.write(w.file, w.token(user, w.key, 0, time.Hour), seed)
	return w
}

// serve answers what users ask of the control channel.
func (w *world) serve() {
	w.t.Helper()
	key, seed, err := account.NewUserKey()
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.t.TempDir(), "service.creds")
	w.write(file, w.token("service", key, 0, 0), seed)
	nc := must(nats.Connect(w.ClientURL(), nats.UserCredentials(file)))(w.t)
	w.t.Cleanup(nc.Close)
	svc := must(micro.AddService(nc, micro.Config{Name: "control", Version: "1.0.0"}))(w.t)
	err = svc.AddEndpoint("renew", api.Endpoint(context.Background(), 10*time.Second, w.renew), micro.WithEndpointSubject("control."+user+".renew"))
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) renew(_ context.Context, _ string, body []byte) (any, error) {
	var req api.Signed
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	if !account.Verify(w.key, api.SignedBytes(user, api.ChannelRenew, req.Time, req.Body), req.Signature) {
		return nil, fault.New(fault.Denied, "the request is not signed by the user's key")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	return w.answer(w.asked)
}

func (w *world) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

func (w *world) answers(f func(n int) (any, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = f
}

func (w *world) renewed(name string, life time.Duration) api.Renewed {
	return api.Renewed{JWT: w.token(name, w.key, 0, life), Expires: time.Now().Add(life), Subscriptions: []string{}}
}

// token signs a user's JWT that was issued some time ago and ends after left; 0
// never ends. Each is another.
func (w *world) token(name, key string, ago, left time.Duration) string {
	w.t.Helper()
	c := jwt.NewUserClaims(key)
	c.Name = name
	c.Tags.Add(fmt.Sprint("n", time.Now().UnixNano()))
	if left != 0 {
		c.Expires = time.Now().Add(left).Unix()
	}
	token := must(c.Encode(w.account))(w.t)
	if ago == 0 {
		return token
	}
	// The library stamps the time of now, so the claims are signed again.
	parts := strings.Split(token, ".")
	var claims map[string]any
	body := must(base64.RawURLEncoding.DecodeString(parts[1]))(w.t)
	if err := json.Unmarshal(body, &claims); err != nil {
		w.t.Fatal(err)
	}
	claims["iat"] = time.Now().Add(-ago).Unix()
	parts[1] = base64.RawURLEncoding.EncodeToString(must(json.Marshal(claims))(w.t))
	sig := must(w.account.Sign([]byte(parts[0] + "." + parts[1])))(w.t)
	return parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func (w *world) write(path, token string, seed []byte) {
	w.t.Helper()
	if err := os.WriteFile(path, must(account.FormatCreds(token, seed))(w.t), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// hold puts a JWT of the user into its file that was issued some time ago.
func (w *world) hold(ago, left time.Duration) renew.Creds {
	w.t.Helper()
	data := must(os.ReadFile(w.file))(w.t)
	seed := must(account.ReadCreds(data))(w.t).Seed
	w.write(w.file, w.token(user, w.key, ago, left), seed)
	return must(renew.Read(w.file))(w.t)
}

// open is a connection that renews until the test ends. use may be nil.
func (w *world) open(use func(*nats.Conn) error) *renew.Conn {
	w.t.Helper()
	if use == nil {
		use = func(*nats.Conn) error { return nil }
	}
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(w.log, nil))
	conn := must(renew.Open(bus.Config{Servers: []string{w.ClientURL()}, User: user, Name: user, CredsFile: w.file}, tel, use))(w.t)
	w.t.Cleanup(conn.Close)
	return conn
}

// run renews in the background until the test ends.
func (w *world) run(conn *renew.Conn) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- conn.Run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Errorf("stopped, it ends with %v", err)
		}
	})
}

// text is a log that can be read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *text) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), what)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
