package snmp

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/poller/collect"
)

// agent is a real snmpd on loopback. Community, users and passphrases are made
// at run time.
type agent struct {
	port      int
	community string // sees all
	narrow    string // sees the system group and ifTable only
	blind     string // sees ifTable only
	auth      string
	priv      string
}

// The users of the agent, one for each protocol that it offers.
var users = []api.SNMP{
	{User: "md5", AuthProtocol: "MD5"},
	{User: "sha", AuthProtocol: "SHA", PrivProtocol: "AES"},
	{User: "sha224", AuthProtocol: "SHA224", PrivProtocol: "AES192"},
	{User: "sha256", AuthProtocol: "SHA256", PrivProtocol: "AES256"},
	{User: "sha384", AuthProtocol: "SHA384", PrivProtocol: "DES"},
	{User: "sha512", AuthProtocol: "SHA512", PrivProtocol: "AES256"},
	{User: "reeder192", AuthProtocol: "SHA", PrivProtocol: "AES192C"},
	{User: "reeder256", AuthProtocol: "SHA256", PrivProtocol: "AES256C"},
}

// What snmpd calls the protocols where it differs.
var inSnmpd = map[string]string{"SHA224": "SHA-224", "SHA256": "SHA-256", "SHA384": "SHA-384", "SHA512": "SHA-512"}

const location = "rack 4, Löwenstraße"

// start runs snmpd until the test ends, and returns when it answers.
func start(t *testing.T) agent {
	t.Helper()
	binary, err := exec.LookPath("snmpd")
	if err != nil {
		binary = "/usr/sbin/snmpd" // not in the path of every user
		if _, err := os.Stat(binary); err != nil {
			t.Fatal("snmpd is missing: apt-get install snmpd")
		}
	}
	a := agent{port: freePort(t), community: rand.Text(), narrow: rand.Text(), blind: rand.Text(), auth: rand.Text(), priv: rand.Text()}
	dir := t.TempDir()
	file := filepath.Join(dir, "snmpd.conf")
	if err := os.WriteFile(file, []byte(a.config()), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(binary, "-f", "-Lo", "-C", "-c", file)
	cmd.Env = []string{"SNMP_PERSISTENT_DIR=" + filepath.Join(dir, "state"), "SNMPCONFPATH=" + dir, "MIBS=", "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("output of snmpd:\n%s", log.String())
		}
	})
	a.secrets(t)
	a.await(t)
	return a
}

func (a agent) config() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("agentaddress udp:127.0.0.1:%d", a.port)
	line("rocommunity %s 127.0.0.1", a.community)
	line("view narrow included .1.3.6.1.2.1.1")
	line("view narrow included .1.3.6.1.2.1.2")
	line("rocommunity %s 127.0.0.1 -V narrow", a.narrow)
	line("view blind included .1.3.6.1.2.1.2")
	line("rocommunity %s 127.0.0.1 -V blind", a.blind)
	line("sysLocation %s", location)
	line("sysContact noc")
	line("sysName lab-router")
	for _, u := range users {
		auth, level, priv := u.AuthProtocol, "authnopriv", ""
		if name, ok := inSnmpd[auth]; ok {
			auth = name
		}
		if u.PrivProtocol != "" {
			level, priv = "authpriv", fmt.Sprintf(" %s %q", u.PrivProtocol, a.priv)
		}
		line("createUser %s %s %q%s", u.User, auth, a.auth, priv)
		line("rouser %s %s", u.User, level)
	}
	// snmpd has no ENTITY-MIB of its own: a chassis with a module, a bare
	// sensor and a port without a serial number.
	for _, e := range []struct {
		index, class        int
		name, model, serial string
	}{{1, 3, "Chassis", "X-1000", "SN0001"}, {2, 9, "Line card", "LC-8", "SN0002"}, {10, 8, "Temperature", "", ""}, {11, 10, "Port 1", "", ""}} {
		const entry = ".1.3.6.1.2.1.47.1.1.1.1"
		line("override %s.2.%d octet_str %q", entry, e.index, e.name)
		line("override %s.5.%d integer %d", entry, e.index, e.class)
		line("override %s.10.%d octet_str %q", entry, e.index, "7.4.2")
		line("override %s.11.%d octet_str %q", entry, e.index, e.serial)
		line("override %s.13.%d octet_str %q", entry, e.index, e.model)
	}
	return b.String()
}

// secrets puts them where the references of targets point to.
func (a agent) secrets(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"T_COMMUNITY": a.community, "T_NARROW": a.narrow, "T_BLIND": a.blind, "T_AUTH": a.auth, "T_PRIV": a.priv, "T_WRONG": "not-" + a.auth,
	} {
		t.Setenv(name, value)
	}
}

// await asks until the agent answers.
func (a agent) await(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	target := a.target(api.SNMP{Version: "2c", Community: "env:T_COMMUNITY"})
	target.Timeout = 600 * time.Millisecond
	for ctx.Err() == nil {
		if got := say(t, target); got.check.Status == "ok" {
			return
		}
	}
	t.Fatal("snmpd does not answer within 30 s")
}

func (a agent) target(settings api.SNMP) collect.Target {
	settings.Port = a.port
	return collect.Target{Device: "r1", Address: "127.0.0.1", Check: "snmp", Collector: "snmp",
		Timeout: 10 * time.Second, SNMP: &settings}
}

// user returns a target for one of users.
func (a agent) user(u api.SNMP) collect.Target {
	u.Version, u.AuthSecret = "3", "env:T_AUTH"
	if u.PrivProtocol != "" {
		u.PrivSecret = "env:T_PRIV"
	}
	return a.target(u)
}

func freePort(t *testing.T) int {
	t.Helper()
	c := udp(t)
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// udp is a socket on loopback that takes everything and answers nothing.
func udp(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
