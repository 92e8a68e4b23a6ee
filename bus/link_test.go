package bus_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"midplane/bus"
	"midplane/fault"
	"midplane/internal/testport"
	"midplane/telemetry"
)

// logText is a log that a test reads while it is written.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// await waits until the log contains a text.
func (l *logText) await(t *testing.T, what string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(l.String(), what); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log never says %q:\n%s", what, l)
		}
	}
}

// connectInBackground connects as a daemon does, and returns its log.
func connectInBackground(t *testing.T, cfg bus.Config) *logText {
	t.Helper()
	log := &logText{}
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(log, nil))
	cfg.User, cfg.Name = "u", "test"
	nc, err := bus.Connect(cfg, tel)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return log
}

func startServer(t *testing.T, opts *server.Options) *server.Server {
	t.Helper()
	opts.Host, opts.NoLog, opts.NoSigs = "127.0.0.1", true, true
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return s
}

// TestNoConnectionIsLogged: a daemon that cannot connect must not wait in
// silence, nor log the same at every try.
func TestNoConnectionIsLogged(t *testing.T) {
	port := testport.Reserve(t)
	log := connectInBackground(t, bus.Config{Servers: []string{fmt.Sprintf("nats://127.0.0.1:%d", port)}})
	log.await(t, "is the node running")
	s := startServer(t, &server.Options{Port: port})
	log.await(t, "msg=connected")
	s.Shutdown()
	log.await(t, "disconnected")
	startServer(t, &server.Options{Port: port})
	for deadline := time.Now().Add(20 * time.Second); strings.Count(log.String(), "msg=connected") < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never says that it is connected again:\n%s", log)
		}
	}
	if n := strings.Count(log.String(), "cannot connect"); n > 4 { // refused, or closed while it went down
		t.Fatalf("logged %d times:\n%s", n, log)
	}
}

// TestWhyThereIsNoConnection: the hint fits the reason.
func TestWhyThereIsNoConnection(t *testing.T) {
	mine, other := selfSigned(t), selfSigned(t)
	secure := startServer(t, &server.Options{Port: -1, TLS: true, TLSTimeout: 5, TLSConfig: &tls.Config{Certificates: []tls.Certificate{mine.pair}, MinVersion: tls.VersionTLS13}})
	plain := startServer(t, &server.Options{Port: -1, Username: "u", Password: "p"})
	at := func(s *server.Server) []string { return []string{"nats://" + s.Addr().String()} }
	for name, c := range map[string]struct {
		cfg  bus.Config
		want string
	}{
		"TLS only":      {bus.Config{Servers: at(secure)}, "tls/ca.crt"},
		"another CA":    {bus.Config{Servers: at(secure), CAFile: other.file}, "another CA signed"},
		"no TLS":        {bus.Config{Servers: at(plain), CAFile: mine.file}, "do not speak TLS"},
		"not accepted":  {bus.Config{Servers: at(plain)}, "do not accept these credentials"},
		"not listening": {bus.Config{Servers: []string{"127.0.0.1:1"}}, "is the node running"},
	} {
		t.Run(name, func(t *testing.T) { connectInBackground(t, c.cfg).await(t, c.want) })
	}
}

// TestServerURLs: a URL that could never be connected to is Invalid at once.
func TestServerURLs(t *testing.T) {
	for _, bad := range []string{"htp://a b", "http://n1:4222", "", "tls://", "nats://ann:secret@n1:4222", ":4222"} {
		nc, err := bus.Connect(bus.Config{Servers: []string{bad}, User: "u"}, telemetry.Nop())
		if err == nil {
			nc.Close()
		}
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

type cert struct {
	pair tls.Certificate
	file string // PEM
}

func selfSigned(t *testing.T) cert {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c := cert{pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file: filepath.Join(t.TempDir(), "ca.crt")}
	if err := os.WriteFile(c.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// A client whose login is refused tries for ever, and logs the refusal once.
func TestRefusedLoginIsLoggedOnce(t *testing.T) {
	serve := func(port int, password string) *server.Server {
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, Username: "u", Password: password, NoLog: true, NoSigs: true})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatal("the server is not ready")
		}
		return s
	}
	port := testport.Reserve(t)
	s := serve(port, "good")
	log := connectInBackground(t, bus.Config{Servers: []string{s.ClientURL()}, Options: []nats.Option{
		nats.UserInfo("u", "good"), nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0),
	}})
	s.Shutdown()
	log.await(t, "disconnected, reconnecting")
	s = serve(port, "another")
	defer s.Shutdown()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		v, err := s.Varz(nil)
		if err != nil {
			t.Fatal(err)
		}
		if v.TotalConnections >= 20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it tried %d times", v.TotalConnections)
		}
	}
	log.await(t, "not revoked?")
	if n := strings.Count(strings.ToLower(log.String()), "authorization violation"); n > 1 {
		t.Errorf("logged %d times:\n%s", n, log)
	}
}
