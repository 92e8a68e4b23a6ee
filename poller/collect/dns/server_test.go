package dns

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"midplane/poller/collect/collecttest"
)

// resolver is a real server that knows some names. The texts of "long" do not
// fit into a datagram without EDNS.
func resolver(t *testing.T) (port string) {
	args := []string{
		"--local=/example.net/", "--local-ttl=300",
		"--host-record=www.example.net,192.0.2.1,2001:db8::1", "--host-record=www.example.net,192.0.2.2",
		"--cname=web.example.net,www.example.net",
		"--mx-host=example.net,mail.example.net,10", "--mx-host=example.net,backup.example.net,20",
		"--txt-record=example.net,v=spf1 -all", `--txt-record=quoted.example.net,say "hi"`,
	}
	for i := range 20 {
		args = append(args, fmt.Sprintf("--txt-record=long.example.net,%02d%s", i, strings.Repeat("x", 60)))
	}
	return serve(t, args...)
}

// authority is a real server that has a zone of its own.
func authority(t *testing.T) (port string) {
	return serve(t, "--auth-server=ns.example.org,lo", "--auth-zone=example.org", "--auth-ttl=600",
		"--auth-soa=2026010100,hostmaster.example.org,1200,180,1209600")
}

// serve runs dnsmasq on a free port of loopback until the test ends, and
// returns the port when it answers.
func serve(t *testing.T, args ...string) string {
	t.Helper()
	binary, err := exec.LookPath("dnsmasq")
	if err != nil {
		binary = "/usr/sbin/dnsmasq" // not in the path of every user
		if _, err := os.Stat(binary); err != nil {
			t.Fatal("dnsmasq is missing: apt-get install dnsmasq-base")
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	var log bytes.Buffer
	cmd := exec.Command(binary, append(args, "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--pid-file=",
		"--user="+me.Username, "--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1", "--port="+port)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the log of dnsmasq:\n%s", log.String())
		}
	})
	for until := time.Now().Add(20 * time.Second); ; {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
		if err == nil {
			c.Close()
			return port
		}
		if time.Now().After(until) {
			t.Fatalf("dnsmasq does not answer: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// freePort returns a port of loopback that was free over TCP and UDP a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, u := both(t)
	defer l.Close()
	defer u.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// both listens on one port over TCP and UDP.
func both(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, u
		}
		l.Close()
	}
	t.Fatal("no port is free over both TCP and UDP")
	return nil, nil
}

// hostile serves what a test makes of a question: the datagrams that answer it
// over UDP, and what it does with a connection over TCP.
type hostile struct {
	udp func(q *dns.Msg) [][]byte
	tcp func(c net.Conn, q *dns.Msg)
}

// listen serves h until the test ends, and returns the port.
func (h hostile) listen(t *testing.T) string {
	t.Helper()
	l, u := both(t)
	t.Cleanup(func() { u.Close() })
	go func() {
		buf := make([]byte, dns.MaxMsgSize)
		for {
			n, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if h.udp == nil || q.Unpack(buf[:n]) != nil {
				continue
			}
			for _, raw := range h.udp(q) {
				_, _ = u.WriteTo(raw, from)
			}
		}
	}()
	collecttest.Accept(t, l, func(c net.Conn) {
		q, err := (&dns.Conn{Conn: c}).ReadMsg()
		if h.tcp != nil && err == nil {
			h.tcp(c, q)
		}
	})
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// reply is an answer to q with records, changed by a test.
func reply(t *testing.T, q *dns.Msg, change func(m *dns.Msg), records ...string) []byte {
	m := new(dns.Msg).SetReply(q)
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Error(err)
			return nil
		}
		m.Answer = append(m.Answer, rr)
	}
	if change != nil {
		change(m)
	}
	raw, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return raw
}

// framed is a message as TCP carries it.
func framed(raw []byte) []byte {
	return append([]byte{byte(len(raw) >> 8), byte(len(raw))}, raw...)
}
