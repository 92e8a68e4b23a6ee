package deployment_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/platform"
	"midplane/platform/deployment"
	"midplane/platform/node"
	"midplane/telemetry"
)

// lonely starts the server of one node out of three and returns the addresses
// of its clients and routes.
func lonely(t *testing.T) (dir, client, route string) {
	t.Helper()
	return lonelyWith(t, io.Discard)
}

// lonelyWith is lonely with a log.
func lonelyWith(t *testing.T, log io.Writer) (dir, client, route string) {
	t.Helper()
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	dir = filepath.Join(t.TempDir(), "deployment")
	p := plan()
	client, route = free(t), free(t)
	p.Nodes[0].Client, p.Nodes[0].Route, p.Nodes[0].Advertise, p.Nodes[0].Peer = client, route, client, route
	if _, err := deployment.Init(dir, p); err != nil {
		t.Fatal(err)
	}
	cfg, err := platform.Load(deployment.NodeDir(dir, "n1"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.New(cfg.Node, tel)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("node: %v", err)
		}
	})
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := n.Ready(ready); err != nil {
		t.Fatal(err)
	}
	return dir, client, route
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func pool(t *testing.T, path string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(data) {
		t.Fatalf("%s holds no certificate", path)
	}
	return p
}

func TestClientsSpeakTLS13(t *testing.T) {
	dir, client, _ := lonely(t)
	ours := pool(t, deployment.CAFile(dir))
	connect := func(c *tls.Config) error {
		nc, err := nats.Connect("tls://"+client, nats.UserCredentials(deployment.AdminCreds(dir, "ann")), nats.CustomInboxPrefix("_INBOX.ann"),
			nats.Secure(c), nats.Timeout(10*time.Second))
		if err == nil {
			nc.Close()
		}
		return err
	}
	if err := connect(&tls.Config{RootCAs: ours}); err != nil {
		t.Errorf("with our CA: %v", err)
	}
	if err := connect(&tls.Config{RootCAs: ours, MaxVersion: tls.VersionTLS12}); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("TLS 1.2: %v", err)
	}
	if err := connect(&tls.Config{RootCAs: x509.NewCertPool()}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a client that trusts another CA: %v", err)
	}
	if err := connect(&tls.Config{RootCAs: pool(t, filepath.Join(deployment.NodeDir(dir, "n1"), "tls", "route-ca.crt"))}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("clients trust the CA of the routes: %v", err)
	}
	if err := connect(&tls.Config{RootCAs: ours, ServerName: "n2.example"}); err == nil || !strings.Contains(err.Error(), "n2.example") {
		t.Errorf("one node's certificate is good for another: %v", err)
	}
}

// A client that goes on in plain text, its credentials right or not, is cut off.
func TestClientsInPlainTextAreRefused(t *testing.T) {
	_, client, _ := lonely(t)
	c := dial(t, client)
	r := bufio.NewReader(c)
	info, err := r.ReadString('\n')
	if err != nil || !strings.Contains(info, `"tls_required":true`) {
		t.Fatalf("%q: %v", info, err)
	}
	if _, err := io.WriteString(c, "CONNECT {}\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(r)
	if strings.Contains(string(rest), "PONG") {
		t.Errorf("answered in plain text: %q %v", rest, err)
	}
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRoutesVerifyBothWays(t *testing.T) {
	dir, _, route := lonely(t)
	of := func(node, kind string) tls.Certificate {
		base := filepath.Join(deployment.NodeDir(dir, node), "tls", kind)
		c, err := tls.LoadX509KeyPair(base+".crt", base+".key")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	routes := pool(t, filepath.Join(deployment.NodeDir(dir, "n2"), "tls", "route-ca.crt"))
	// join returns the first line that the node sends to one that comes.
	join := func(c *tls.Config) (string, error) {
		c.MinVersion, c.ServerName = tls.VersionTLS13, "127.0.0.1"
		conn := tls.Client(dial(t, route), c)
		if err := conn.Handshake(); err != nil {
			return "", fmt.Errorf("we refuse: %w", err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("it refuses: %w", err)
		}
		return line, nil
	}
	line, err := join(&tls.Config{RootCAs: routes, Certificates: []tls.Certificate{of("n2", "route")}})
	if err != nil || !strings.HasPrefix(line, "INFO ") {
		t.Fatalf("another node: %q %v", line, err)
	}
	for name, c := range map[string]*tls.Config{
		"without a certificate":            {RootCAs: routes},
		"with a certificate for clients":   {RootCAs: routes, Certificates: []tls.Certificate{of("n2", "client")}},
		"with one of another deployment":   {RootCAs: routes, Certificates: []tls.Certificate{foreign(t)}},
		"expecting a certificate's client": {RootCAs: pool(t, deployment.CAFile(dir)), Certificates: []tls.Certificate{of("n2", "route")}},
	} {
		line, err := join(c)
		if err == nil {
			t.Errorf("%s: joined: %q", name, line)
		}
	}
	// In plain text there is no answer at all.
	plain := dial(t, route)
	if _, err := io.WriteString(plain, `INFO {"server_id":"X","version":"2.15.2","host":"127.0.0.1"}`+"\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(plain); strings.Contains(string(answer), "INFO") || strings.Contains(string(answer), "PONG") {
		t.Errorf("a node in plain text was answered: %q", answer)
	}
}

// foreign returns a route certificate of another deployment of the same name.
func foreign(t *testing.T) tls.Certificate {
	t.Helper()
	base := filepath.Join(deployment.NodeDir(made(t), "n2"), "tls", "route")
	c, err := tls.LoadX509KeyPair(base+".crt", base+".key")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count(what string) int { return strings.Count(l.all(), what) }
