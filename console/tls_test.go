package console

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"midplane/fault"
	"midplane/telemetry"
)

// writeCert makes a certificate for loopback and returns it.
func writeCert(t *testing.T, dir string, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "console"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls.key": {Type: "PRIVATE KEY", Bytes: keyDER}, "tls.crt": {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert
}

// TestTLS: with a certificate any address will do, the cookie is a __Host- one,
// and a new certificate is taken up without a restart.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	roots := x509.NewCertPool()
	roots.AddCert(writeCert(t, dir, 1))
	cfg := guarded(t, Config{Addr: "0.0.0.0:0", Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")})
	c, err := New(cfg, newFake(), telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if err := c.Ready(within(t)); err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
		defer client.CloseIdleConnections()
		req, err := http.NewRequestWithContext(within(t), http.MethodGet, c.URL()+"api/v1/devices", nil)
		if err != nil {
			t.Fatal(err)
		}
		withToken(adminToken)(req)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 || resp.Header.Get("Strict-Transport-Security") == "" || resp.ProtoMajor != 2 {
			t.Errorf("%s %v", resp.Status, resp.Header)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Fatalf("serial %d", n)
	}
	old, err := tls.Dial("tcp", c.Addr(), &tls.Config{RootCAs: roots, ServerName: "localhost", MaxVersion: tls.VersionTLS11})
	if err == nil {
		old.Close()
		t.Error("TLS 1.1 is spoken")
	}
	roots.AddCert(writeCert(t, dir, 2))
	for deadline := time.Now().Add(90 * time.Second); serial() != 2; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not taken up")
		}
	}
	// Half a certificate leaves the one before in use.
	if err := os.WriteFile(cfg.Cert, []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.cert.mu.Lock()
	c.cert.look = time.Time{}
	c.cert.mu.Unlock()
	if n := serial(); n != 2 {
		t.Errorf("serial %d", n)
	}
	if resp, err := http.Get("http://" + c.Addr() + "/"); err == nil {
		if resp.StatusCode == 200 {
			t.Error("plain HTTP is answered on the TLS port")
		}
		resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}
}

func TestCertificateThatIsNone(t *testing.T) {
	c, err := New(guarded(t, Config{Addr: "127.0.0.1:0", Cert: "nowhere", Key: "nowhere"}), newFake(), telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(within(t)); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
}

func TestURL(t *testing.T) {
	for want, cfg := range map[string]Config{
		"http://127.0.0.1:8480/":     {},
		"http://localhost:1/":        {Addr: "localhost:1"},
		"http://127.0.0.1:1/":        {Addr: "0.0.0.0:1", Open: true},
		"https://console.example:1/": {Addr: "0.0.0.0:1", Cert: "c", Key: "k", Hosts: []string{"console.example"}},
		"https://other.example:1/":   {Addr: "other.example:1", Cert: "c", Key: "k"},
	} {
		c, err := New(guarded(t, cfg), newFake(), telemetry.Nop())
		if err != nil {
			t.Fatal(err)
		}
		if got := c.URL(); got != want {
			t.Errorf("%+v: %s, want %s", cfg, got, want)
		}
	}
}
