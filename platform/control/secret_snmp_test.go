package control_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/poller"
	"midplane/poller/collect"
	"midplane/poller/collect/snmp"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// snmpd runs a real agent that answers to two communities, until the test ends.
func snmpd(t *testing.T, communities ...string) (port int) {
	t.Helper()
	binary, err := exec.LookPath("snmpd")
	if err != nil {
		if binary = "/usr/sbin/snmpd"; !there(binary) {
			t.Fatal("snmpd is missing: apt-get install snmpd")
		}
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	port = conn.LocalAddr().(*net.UDPAddr).Port
	conn.Close()
	dir := t.TempDir()
	conf := fmt.Sprintf("agentaddress udp:127.0.0.1:%d\nsysName lab-router\n", port)
	for _, c := range communities {
		conf += "rocommunity " + c + " 127.0.0.1\n"
	}
	file := filepath.Join(dir, "snmpd.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-f", "-Lo", "-C", "-c", file)
	cmd.Env = []string{"SNMP_PERSISTENT_DIR=" + filepath.Join(dir, "state"), "SNMPCONFPATH=" + dir, "MIBS=", "PATH=" + os.Getenv("PATH")}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return port
}

func there(path string) bool { _, err := os.Stat(path); return err == nil }

// watched is the SNMP collector that notes what each run was given and found.
type watched struct {
	collect.Collector
	mu     sync.Mutex
	status string               // status of the check in the last run
	at     map[string]time.Time // when a value was first used
}

func (w *watched) Collect(ctx context.Context, t collect.Target, emit collect.Emit) error {
	value, _ := t.Secret(t.SNMP.Community) // "" when it is not set
	w.mu.Lock()
	if w.at[value].IsZero() {
		w.at[value] = time.Now()
	}
	w.mu.Unlock()
	return w.Collector.Collect(ctx, t, func(ctx context.Context, es ...event.Event) error {
		for _, e := range es {
			var c event.Check
			if e.Type == event.TypeCheck && json.Unmarshal(e.Data, &c) == nil {
				w.mu.Lock()
				w.status = c.Status
				w.mu.Unlock()
			}
		}
		return emit(ctx, es...)
	})
}

// is reports whether the last run had that status.
func (w *watched) is(ok bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == "" || (w.status == event.CheckOK) != ok {
		return fault.New(fault.Other, "the check is %q", w.status)
	}
	return nil
}

// logBuffer keeps all that is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.buf.Bytes())
}

func (w *watched) firstUse(value string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at[value]
}

// A running poller reads a real agent with a community that it got over the
// control channel, with another one as soon as that is set, and after a restart
// without the control plane; nothing is in clear on its disk or in its log.
func TestSecretReachesARunningPoller(t *testing.T) {
	c := cluster(t)
	first, second := rand.Text(), rand.Text()
	apply(t, c, secretive(t, "secsnmp", snmpd(t, first, second)))
	key, seed := newKey(t)
	creds := userWith(t, c, "secsnmp", account.RolePoller, "syd-01", key, seed)
	dir := t.TempDir()
	var log logBuffer
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	run := func(servers []string) (w *watched, stop func()) {
		w = &watched{Collector: snmp.New(), at: map[string]time.Time{}}
		p, err := poller.New(poller.Config{User: "syd-01", Dir: dir, CredsFile: creds, Servers: servers, Version: "test",
			Collectors: map[string]collect.Collector{"snmp": w}}, tel)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		stop = sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(stop)
		return w, stop
	}
	w, stop := run(c.Servers())
	problem := func() string {
		for _, p := range ask[api.Page[api.Poller]](t, c, api.PollerList, api.ListRequest{Tenant: "secsnmp"}).Items {
			if p.ID == "syd-01" && p.Status == api.PollerOnline {
				return p.Problem
			}
		}
		return "not online"
	}
	says := func(want string) {
		t.Helper()
		testwait.Until(t, fmt.Sprintf("the poller's problem is %q", want), func() error {
			if got := problem(); got != want {
				return fault.New(fault.Other, "it is %q", got)
			}
			return nil
		})
	}
	says("not set: secret:north")
	works := func(value string) {
		t.Helper()
		began := time.Now()
		setSecret(t, c, "secsnmp", "north", value)
		took := testwait.Until(t, "a run uses the new value", func() error {
			if w.firstUse(value).IsZero() {
				return fault.New(fault.Other, "not yet")
			}
			return nil
		})
		t.Logf("from set to the first run with the new value: %s (interval 1s), %s in all", w.firstUse(value).Sub(began).Round(time.Millisecond), took.Round(time.Millisecond))
		testwait.Until(t, "the agent answers", func() error { return w.is(true) })
		says("")
	}
	works(first)
	setSecret(t, c, "secsnmp", "north", "not-"+first)
	testwait.Until(t, "the agent does not answer a wrong community", func() error { return w.is(false) })
	works(second)
	stop()

	// Without the control plane, from what is on disk.
	w, stop = run([]string{"nats://127.0.0.1:1"})
	testwait.Until(t, "a run without the control plane uses the value", func() error {
		if w.firstUse(second).IsZero() {
			return fault.New(fault.Other, "not yet")
		}
		return nil
	})
	stop()

	hidden := [][]byte{[]byte(first), []byte(second)}
	for _, s := range hidden {
		if bytes.Contains(log.bytes(), s) {
			t.Error("a value is in the log")
		}
	}
	for _, root := range []string{dir, c.Dir} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil // files come and go in a running cluster
			}
			data, err := os.ReadFile(path)
			for _, s := range hidden {
				if err == nil && bytes.Contains(data, s) {
					t.Errorf("a value is in %s", path)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
