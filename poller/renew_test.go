package poller

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/bus/renew"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/poller/collect"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

// TestPollerRenews: a poller renews its credentials at half of their life, over
// and over, is never without a connection, and loses and doubles nothing.
func TestPollerRenews(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	js := pollertest.Streams(t, pollertest.Connect(t, s.ClientURL(), "reader"))
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	ctl := pollertest.NewControl(t, pollertest.Connect(t, s.ClientURL(), "control"), pollertest.Creds(t, file))
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old, err := renew.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	// A day of which more than the half is over.
	data = []byte(strings.Replace(string(data), old.JWT, pollertest.Token("syd-01", 2*time.Second), 1))
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	conf := pollertest.ConfigOf("syd-01", 3, "r1")
	conf.Devices[0].Checks = []api.PollerCheck{{Name: "up", Collector: "up", Interval: api.Duration(50 * time.Millisecond), Timeout: api.Duration(time.Second)}}
	ctl.Lock()
	ctl.Config, ctl.Life = conf, 4*time.Second
	ctl.Unlock()
	p, err := New(Config{
		User: "syd-01", Dir: filepath.Join(dir, "data"), CredsFile: file, Servers: []string{s.ClientURL()},
		Collectors: map[string]collect.Collector{"up": upCollector{}}, Version: "test",
	}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	stop := pollertest.Background(t, p.Run)
	testwait.True(t, "connected", p.Connected)
	gaps := 0
	testwait.True(t, "renewed three times", func() bool {
		if !p.Connected() {
			gaps++
		}
		ctl.Lock()
		defer ctl.Unlock()
		return ctl.Renewed >= 3
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
	ctl.Set(5, "r1", "r2") // hints come over the new connection
	testwait.True(t, "the new configuration", func() bool { return p.channel.Revision() == 5 })
	testwait.True(t, "the old connections go", func() bool { return s.NumClients() <= 4 })
	stop()
	if left, _ := filepath.Glob(filepath.Join(dir, ".syd-01.creds-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	var all []event.Event
	for _, k := range []event.Kind{event.KindEvent, event.KindState, event.KindMetric} {
		all = append(all, pollertest.Stored(t, js, k)...)
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
	pollertest.Creds(t, file)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old, err := renew.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(data), old.JWT, pollertest.Token("syd-01", -time.Hour), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	var log pollertest.Log
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(&log, nil))
	p, err := New(Config{User: "syd-01", Dir: filepath.Join(dir, "data"), CredsFile: file, Servers: []string{"nats://127.0.0.1:1"}}, tel)
	if err != nil {
		t.Fatal(err)
	}
	pollertest.Background(t, p.Run)
	testwait.True(t, "it says so", func() bool {
		return strings.Contains(log.String(), "level=ERROR") && strings.Contains(log.String(), "expired at") && strings.Contains(log.String(), "midplane token create")
	})
}
