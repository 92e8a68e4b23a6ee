package deployment_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/bus"
	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/platform/deployment"
	"midplane/telemetry"
)

// shown returns the serial of the certificate that a node shows to a client
// which trusts roots.
func shown(t *testing.T, addr string, roots *x509.CertPool) (string, error) {
	c := dial(t, addr)
	defer c.Close()
	r := bufio.NewReader(c)
	if _, err := r.ReadString('\n'); err != nil {
		return "", err
	}
	conn := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13})
	if err := conn.Handshake(); err != nil {
		return "", err
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Text(16), nil
}

func serialOf(t *testing.T, certs []deployment.Certificate, node, kind string) string {
	t.Helper()
	for _, c := range certs {
		if c.Node == node && c.Kind == kind {
			return c.Serial
		}
	}
	t.Fatalf("no certificate %s of %s in %+v", kind, node, certs)
	return ""
}

// joins reports whether the node lets another one in that shows cert and trusts
// roots.
func joins(t *testing.T, addr string, cert tls.Certificate, roots *x509.CertPool) error {
	conn := tls.Client(dial(t, addr), &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13})
	defer conn.Close()
	if err := conn.Handshake(); err != nil {
		return fmt.Errorf("we refuse: %w", err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "INFO ") {
		return fmt.Errorf("it refuses: %q %w", line, err)
	}
	return nil
}

func routeCert(t *testing.T, dir, node string) tls.Certificate {
	t.Helper()
	base := filepath.Join(deployment.NodeDir(dir, node), "tls", "route")
	c, err := tls.LoadX509KeyPair(base+".crt", base+".key")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// live connects as the first admin, with the CA bundle of the deployment.
func live(t *testing.T, dir, addr string) *nats.Conn {
	t.Helper()
	nc, err := bus.Connect(bus.Config{Servers: []string{"tls://" + addr}, User: "ann", CredsFile: deployment.AdminCreds(dir, "ann"),
		CAFile: deployment.CAFile(dir), MaxWait: 30 * time.Second}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func untouched(t *testing.T, nc *nats.Conn) {
	t.Helper()
	if err := nc.FlushTimeout(20 * time.Second); err != nil || nc.Stats().Reconnects > 0 {
		t.Errorf("a connection that was open: %v, %d reconnects", err, nc.Stats().Reconnects)
	}
}

// New certificates are shown to new connections; open ones stay open.
func TestCertificatesReload(t *testing.T) {
	dir, client, route := lonely(t)
	nc := live(t, dir, client)
	roots := pool(t, deployment.CAFile(dir))
	before, err := shown(t, client, roots)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := deployment.RenewCertificates(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := serialOf(t, certs, "n1", "client")
	if want == before {
		t.Fatal("the certificate was not renewed")
	}
	testwait.Until(t, "as it should be", func() error {
		if got, err := shown(t, client, roots); err != nil || got != want {
			return fmt.Errorf("serial %s, want %s (%v)", got, want, err)
		}
		return nil
	})
	untouched(t, nc)
	if err := joins(t, route, routeCert(t, dir, "n2"), pool(t, filepath.Join(deployment.NodeDir(dir, "n2"), "tls", "route-ca.crt"))); err != nil {
		t.Errorf("another node after the renewal: %v", err)
	}
	if err := joins(t, route, foreign(t), pool(t, filepath.Join(deployment.NodeDir(dir, "n2"), "tls", "route-ca.crt"))); err == nil {
		t.Error("a node of another deployment joins after the renewal")
	}
	// Files that cannot be used change nothing.
	if err := os.WriteFile(filepath.Join(deployment.NodeDir(dir, "n1"), "tls", "client.crt"), []byte("half a certif"), 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1200 * time.Millisecond) // the files are looked at once a second
	if got, err := shown(t, client, roots); err != nil || got != want {
		t.Errorf("with a damaged file: serial %s, %v", got, err)
	}
}

// only returns the pool that trusts the one certificate of a PEM file.
func only(t *testing.T, text []byte) *x509.CertPool {
	t.Helper()
	if b, rest := pem.Decode(text); b == nil || len(rest) > 0 {
		t.Fatal("not one certificate")
	}
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(text)
	return p
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// While a CA is rotated, clients that trust only the old one and clients that
// trust only the new one can connect, nodes verify each other all the time, and open
// connections stay. In the end only the new one counts.
func TestCARotation(t *testing.T) {
	dir, client, route := lonely(t)
	nc := live(t, dir, client)
	n2 := filepath.Join(deployment.NodeDir(dir, "n2"), "tls")
	oldCA, oldRouteCA, oldRoute := only(t, read(t, dir, "tls", "ca.crt")), only(t, read(t, n2, "route-ca.crt")), routeCert(t, dir, "n2")
	stranger := foreign(t)

	for _, early := range []func(string) ([]deployment.Certificate, error){deployment.IssueFromNewCA, deployment.RemoveOldCA} {
		if _, err := early(dir); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "rotate ca add") {
			t.Fatalf("out of order: %v", err)
		}
	}
	var newCA, newRouteCA *x509.CertPool
	during := func(step string) {
		t.Helper()
		for name, roots := range map[string]*x509.CertPool{"old": oldCA, "new": newCA, "both": pool(t, deployment.CAFile(dir))} {
			testwait.Until(t, "as it should be", func() error {
				if _, err := shown(t, client, roots); err != nil {
					return fmt.Errorf("%s: a client that trusts %s: %v", step, name, err)
				}
				return nil
			})
		}
		for name, roots := range map[string]*x509.CertPool{"old": oldRouteCA, "new": newRouteCA, "both": pool(t, filepath.Join(n2, "route-ca.crt"))} {
			for which, cert := range map[string]tls.Certificate{"old": oldRoute, "present": routeCert(t, dir, "n2")} {
				testwait.Until(t, "as it should be", func() error {
					if err := joins(t, route, cert, roots); err != nil {
						return fmt.Errorf("%s: a node with the %s certificate that trusts %s: %v", step, which, name, err)
					}
					return nil
				})
			}
			if err := joins(t, route, stranger, roots); err == nil {
				t.Errorf("%s: a node of another deployment joins", step)
			}
		}
		untouched(t, nc)
	}
	for range 2 { // a step can be repeated
		if _, err := deployment.AddCA(dir); err != nil {
			t.Fatal(err)
		}
	}
	newCA = only(t, read(t, dir, "offline", "next", "client-ca.crt"))
	newRouteCA = only(t, read(t, dir, "offline", "next", "route-ca.crt"))
	if _, err := deployment.RemoveOldCA(dir); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "rotate ca issue") {
		t.Fatalf("out of order: %v", err)
	}
	during("added")
	if _, err := deployment.RenewCertificates(dir); err != nil {
		t.Fatal(err)
	}
	during("added and renewed")
	for range 2 {
		if _, err := deployment.IssueFromNewCA(dir); err != nil {
			t.Fatal(err)
		}
	}
	during("issued")
	if _, err := deployment.RenewCertificates(dir); err != nil {
		t.Fatal(err)
	}
	during("issued and renewed")
	certs, err := deployment.RemoveOldCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range certs {
		if c.Trusts != 1 || c.CA == "" {
			t.Errorf("in the end: %+v", c)
		}
	}
	testwait.Until(t, "as it should be", func() error {
		if _, err := shown(t, client, oldCA); err == nil {
			return errors.New("who trusts only the old CA is still served")
		}
		if err := joins(t, route, oldRoute, newRouteCA); err == nil {
			return errors.New("a node with a certificate of the old CA still joins")
		}
		if _, err := shown(t, client, newCA); err != nil {
			return err
		}
		if err := joins(t, route, routeCert(t, dir, "n2"), newRouteCA); err != nil {
			return err
		}
		return nil
	})
	untouched(t, nc)
	// A client that runs reads its bundle again when it connects.
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "as it should be", func() error {
		if nc.Stats().Reconnects == 0 || !nc.IsConnected() {
			return fmt.Errorf("not connected again: %v", nc.LastError())
		}
		return nil
	})
	// The new keys are in the place of the old ones: all can begin again.
	if _, err := os.Stat(filepath.Join(dir, "offline", "next", "client-ca.crt")); err == nil {
		t.Error("the rotation has not ended")
	}
	if _, err := deployment.AddCA(dir); err != nil {
		t.Errorf("a second rotation: %v", err)
	}
}

// A rotation that was cut off at any file is finished by repeating the step.
func TestCARotationAfterInterruption(t *testing.T) {
	dir := made(t)
	if _, err := deployment.AddCA(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "offline", "next", "client-ca.crt")); err != nil {
		t.Fatal(err)
	}
	if _, err := deployment.AddCA(dir); err != nil {
		t.Fatalf("cut off before the certificate: %v", err)
	}
	if _, err := deployment.IssueFromNewCA(dir); err != nil {
		t.Fatal(err)
	}
	key := read(t, dir, "offline", "next", "client-ca.key")
	if err := os.WriteFile(filepath.Join(dir, "offline", "client-ca.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "offline", "next", "client-ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := deployment.RemoveOldCA(dir); err != nil {
		t.Fatalf("cut off at the last key: %v", err)
	}
	if _, err := deployment.RenewCertificates(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := deployment.LoadNode(deployment.NodeDir(dir, "n3")); err != nil {
		t.Fatal(err)
	}
}

func TestRotationNeedsTheKeysOfTheCA(t *testing.T) {
	dir := made(t)
	if err := os.RemoveAll(filepath.Join(dir, "offline")); err != nil {
		t.Fatal(err)
	}
	if _, err := deployment.RenewCertificates(dir); fault.KindOf(err) != fault.NotFound || !strings.Contains(fault.HintOf(err), "offline/") {
		t.Errorf("%v", err)
	}
}

// A client that speaks plain text to a TLS port is one line in the log, however
// often it comes, and so is a node at the port for routes.
func TestPlainTextIsLoggedOnce(t *testing.T) {
	log := &lines{}
	_, client, route := lonelyWith(t, log)
	for range 5 {
		c := dial(t, client)
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "CONNECT {}\r\nPING\r\n"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(c)
	}
	testwait.Until(t, "as it should be", func() error {
		if n := log.count("in plain text"); n == 0 {
			return errors.New("nothing was logged")
		}
		return nil
	})
	c := dial(t, route)
	if _, err := io.WriteString(c, "INFO {}\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(c)
	if n := log.count("in plain text"); n != 1 {
		t.Errorf("%d lines: %s", n, log.all())
	}
	if !strings.Contains(log.all(), "port=clients") || !strings.Contains(log.all(), "127.0.0.1") {
		t.Errorf("it does not say who and where: %s", log.all())
	}
}
