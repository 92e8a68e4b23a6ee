package poller

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/bus/renew"
	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/telemetry"
)

// token is what a user's JWT says of its life, unsigned: the server of these
// tests does not look. No life: it never ends.
func token(name string, life time.Duration) string {
	claims := map[string]any{"name": name, "iat": time.Now().Unix(), "jti": fmt.Sprint(time.Now().UnixNano())}
	if life != 0 {
		claims["exp"] = time.Now().Add(life).Unix()
	}
	body, _ := json.Marshal(claims) // strings and numbers
	return "e30." + base64.RawURLEncoding.EncodeToString(body) + ".c2ln"
}

func (c *control) renew(body json.RawMessage) (any, error) {
	var req api.RenewRequest
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life == 0 {
		return nil, fault.New(fault.Denied, "user was revoked")
	}
	c.renewed++
	return api.Renewed{JWT: token("syd-01", c.life), Expires: time.Now().Add(c.life), Subscriptions: []string{}}, nil
}

// TestForwardGoesOver: connection after connection takes over while messages
// flow, and every message is there once and in order.
func TestForwardGoesOver(t *testing.T) {
	s := broker(t, t.TempDir(), -1)
	nc := connect(t, s.ClientURL(), "syd-01")
	js := streams(t, connect(t, s.ClientURL(), "reader"))
	o := openBox(t, tempPath(t), time.Hour)
	f := newForwarder(nc, "syd-01", o, telemetry.Nop())
	background(t, f.Run)
	const rounds, each = 8, 100
	for round := range rounds {
		for n := range each {
			put(t, o, message(event.KindEvent, fmt.Sprint("r", n%40), n))
			if n != each/2 {
				continue
			}
			next := connect(t, s.ClientURL(), "syd-01")
			if err := f.attach(next); err != nil {
				t.Fatal(err)
			}
			if round%2 == 0 {
				_ = nc.Drain()
			} else {
				nc.Close() // at once: answers get lost, and are asked for again
			}
			nc = next
		}
	}
	drained(t, o)
	checkStream(t, stored(t, js, event.KindEvent), rounds*each)
}

// TestPollerRenews: a poller renews its credentials at half of their life, over
// and over, is never without a connection, and loses and doubles nothing.
func TestPollerRenews(t *testing.T) {
	s := broker(t, t.TempDir(), -1)
	js := streams(t, connect(t, s.ClientURL(), "reader"))
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	ctl := newControl(t, connect(t, s.ClientURL(), "control"), creds(t, file))
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old, err := renew.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	// A day of which more than the half is over.
	data = []byte(strings.Replace(string(data), old.JWT, token("syd-01", 2*time.Second), 1))
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	conf := configOf("syd-01", 3, "r1")
	conf.Devices[0].Checks = []api.PollerCheck{{Name: "up", Collector: "up", Interval: api.Duration(50 * time.Millisecond), Timeout: api.Duration(time.Second)}}
	ctl.mu.Lock()
	ctl.cfg, ctl.life = conf, 4*time.Second
	ctl.mu.Unlock()
	p, err := New(Config{
		User: "syd-01", Dir: filepath.Join(dir, "data"), CredsFile: file, Servers: []string{s.ClientURL()},
		Collectors: map[string]collect.Collector{"up": upCollector{}}, Version: "test",
	}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	stop := background(t, p.Run)
	eventually(t, "connected", p.Connected)
	gaps := 0
	eventually(t, "renewed three times", func() bool {
		if !p.Connected() {
			gaps++
		}
		ctl.mu.Lock()
		defer ctl.mu.Unlock()
		return ctl.renewed >= 3
	})
	if gaps > 0 {
		t.Errorf("without a connection at %d looks", gaps)
	}
	now, err := renew.Read(file)
	if err != nil || now.JWT == old.JWT || !now.Expires.After(time.Now()) {
		t.Errorf("%+v, %v", now, err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	ctl.set(5, "r1", "r2") // hints come over the new connection
	eventually(t, "the new configuration", func() bool { return p.channel.revision() == 5 })
	eventually(t, "the old connections go", func() bool { return s.NumClients() <= 4 })
	stop()
	if left, _ := filepath.Glob(filepath.Join(dir, ".syd-01.creds-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	var all []event.Event
	for _, k := range sent {
		all = append(all, stored(t, js, k)...)
	}
	ids := map[string]bool{}
	for _, e := range all {
		if ids[e.ID] {
			t.Errorf("%s is there twice", e.ID)
		}
		ids[e.ID] = true
	}
	if len(all) < 20 {
		t.Errorf("%d messages", len(all))
	}
}

// TestPollerSaysThatItsCredentialsEnded: one that was off for too long says what
// to do, and keeps what it sees.
func TestPollerSaysThatItsCredentialsEnded(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	creds(t, file)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old, err := renew.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(data), old.JWT, token("syd-01", -time.Hour), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(&log, nil))
	p, err := New(Config{User: "syd-01", Dir: filepath.Join(dir, "data"), CredsFile: file, Servers: []string{"nats://127.0.0.1:1"}}, tel)
	if err != nil {
		t.Fatal(err)
	}
	background(t, p.Run)
	eventually(t, "it says so", func() bool {
		return strings.Contains(log.String(), "level=ERROR") && strings.Contains(log.String(), "expired at") && strings.Contains(log.String(), "midplane token create")
	})
}
