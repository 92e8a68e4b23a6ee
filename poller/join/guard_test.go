package join

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"midplane/fault"
	"midplane/telemetry"
	"midplane/tenants/account"
	"midplane/tenants/enrol"
)

// authority is a CA made for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	return certificate(t, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
}

func certificate(t *testing.T, tmpl *x509.Certificate, by *authority) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = &authority{tmpl, key}
	}
	tmpl.SerialNumber, tmpl.NotBefore, tmpl.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

// server returns what a node of that CA shows: its own certificate and others.
func (a authority) server(t *testing.T, host string, beside ...authority) tls.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{Subject: pkix.Name{CommonName: "node"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(host); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{host}
	}
	leaf := certificate(t, tmpl, &a)
	out := tls.Certificate{Certificate: [][]byte{leaf.cert.Raw}, PrivateKey: leaf.key}
	for _, b := range beside {
		out.Certificate = append(out.Certificate, b.cert.Raw)
	}
	return out
}

// impostor listens where a node should, and writes down everything it is sent.
type impostor struct {
	addr string
	mu   sync.Mutex
	got  []string // what came in the open, and what came after the handshake
	hits int
}

// listen says line, and then speaks TLS with cert, or goes on in the open.
func listen(t *testing.T, line string, cert *tls.Certificate) *impostor {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	i := &impostor{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go i.serve(c, line, cert)
		}
	}()
	return i
}

func (i *impostor) serve(c net.Conn, line string, cert *tls.Certificate) {
	defer c.Close()
	i.mu.Lock()
	i.hits++
	i.mu.Unlock()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, line)
	in := bufio.NewReader(c)
	if cert != nil {
		first, err := in.Peek(1)
		if err != nil {
			return
		}
		if first[0] != 0x16 { // anything but a handshake is a leak
			i.note(in)
			return
		}
		conn := tls.Server(&peeked{c, in}, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS13})
		if conn.Handshake() != nil {
			return
		}
		i.note(conn)
		return
	}
	i.note(in)
}

// peeked is a connection of which something was read already.
type peeked struct {
	net.Conn
	r io.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// note writes down what comes until the connection ends.
func (i *impostor) note(r io.Reader) {
	data, _ := io.ReadAll(r)
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(data) > 0 {
		i.got = append(i.got, string(data))
	}
}

func (i *impostor) sent() (int, []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits, append([]string{}, i.got...)
}

// token is one for these servers.
func token(t *testing.T, pins []enrol.Pin, servers ...string) enrol.Token {
	t.Helper()
	keys, err := account.NewKeys(account.EnrolRoles)
	if err != nil {
		t.Fatal(err)
	}
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	jwt, err := account.IssueUser(keys, account.RoleToken, account.User{Name: "t1", Key: key, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	tok := enrol.Token{Tenant: "acme", Poller: "syd-01", Servers: servers, Pins: pins, JWT: jwt, Seed: seed}
	text, err := tok.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if tok, err = enrol.Parse(text); err != nil {
		t.Fatal(err)
	}
	return tok
}

const info = `INFO {"server_id":"X","version":"2.15.2","headers":true,"max_payload":1048576,"nonce":"abc","auth_required":true,"tls_required":true}` + "\r\n"

// A server that is not of the cluster that made the token is sent nothing: not
// after the handshake, and not instead of it.
func TestNothingIsSentToAnImpostor(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	good := ours.server(t, "127.0.0.1", ours)
	for name, x := range map[string]struct {
		line string
		cert *tls.Certificate
	}{
		"another CA":                      {info, ptr(theirs.server(t, "127.0.0.1", theirs))},
		"another CA, ours shown beside":   {info, ptr(theirs.server(t, "127.0.0.1", ours))},
		"ours without the CA":             {info, ptr(ours.server(t, "127.0.0.1"))},
		"ours, for another host":          {info, ptr(ours.server(t, "n2.example", ours))},
		"no TLS":                          {strings.Replace(info, `,"tls_required":true`, "", 1), nil},
		"no TLS, though it says so":       {info, nil},
		"no NATS":                         {"HTTP/1.1 200 OK\r\n\r\n", &good},
		"it leads elsewhere in the open":  {strings.Replace(info, `"tls_required":true`, `"connect_urls":["127.0.0.1:1"]`, 1), nil},
		"it wants TLS and then says more": {info + "PING\r\n", ptr(theirs.server(t, "127.0.0.1", theirs))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := listen(t, x.line, x.cert)
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			_, err := Join(ctx, t.TempDir(), token(t, []enrol.Pin{enrol.PinOf(ours.cert)}, "tls://"+l.addr), telemetry.Nop())
			if err == nil {
				t.Fatal("joined")
			}
			if (x.cert != nil || !strings.Contains(x.line, "tls_required")) && strings.HasPrefix(x.line, "INFO") && !fault.Is(err, fault.Denied) {
				t.Errorf("not refused at once: %v", err)
			}
			hits, got := l.sent()
			if hits == 0 {
				t.Error("never asked: nothing is shown")
			}
			for _, g := range got {
				// A ClientHello in the open is the handshake that never was.
				if !strings.HasPrefix(g, "\x16\x03") || strings.Contains(g, "CONNECT") || strings.Contains(g, "eyJ") {
					t.Errorf("was sent %.40q", g)
				}
			}
			t.Log(err)
		})
	}
	// The check is no stone wall: what is ours is sent what it takes to log in.
	l := listen(t, info, &good)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	go func() {
		_, _ = Join(ctx, t.TempDir(), token(t, []enrol.Pin{enrol.PinOf(ours.cert), {1}}, "tls://"+l.addr), telemetry.Nop())
	}()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, got := l.sent(); len(got) > 0 && strings.HasPrefix(got[0], "CONNECT ") {
			break
		}
		if time.Since(began) > 90*time.Second {
			t.Fatal("a server of ours was sent nothing")
		}
	}
}

func ptr[T any](v T) *T { return &v }

// The key is on disk, for this token, before it is sent anywhere.
func TestKeyIsKeptBeforeItIsSent(t *testing.T) {
	dir := t.TempDir()
	first, err := pendingKey(dir, "t1")
	if err != nil {
		t.Fatal(err)
	}
	again, err := pendingKey(dir, "t1")
	if err != nil || again.public != first.public {
		t.Errorf("another key for the same token: %v", err)
	}
	info, err := os.Stat(dir + "/" + filePending)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: %v", info.Mode(), err)
	}
	other, err := pendingKey(dir, "t2")
	if err != nil || other.public == first.public {
		t.Errorf("the same key for another token: %v", err)
	}
	if err := os.WriteFile(dir+"/"+filePending, []byte(fmt.Sprintf(`{"token":"t2","seed":"%s`, "cut")), 0o600); err != nil {
		t.Fatal(err)
	}
	if cut, err := pendingKey(dir, "t2"); err != nil || cut.public == "" {
		t.Errorf("a file that was cut off: %v", err)
	}
}
