package poller

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/poller/collect"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

func TestNewRefuses(t *testing.T) {
	good := Config{User: "syd-01", Dir: "d", CredsFile: "c", Servers: []string{"nats://127.0.0.1:1"}}
	for name, spoil := range map[string]func(*Config){
		"name":      func(c *Config) { c.User = "*" },
		"system":    func(c *Config) { c.User = "midplane-x" },
		"directory": func(c *Config) { c.Dir = "" },
		"creds":     func(c *Config) { c.CredsFile = "" },
		"servers":   func(c *Config) { c.Servers = nil },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := New(cfg, telemetry.Nop()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(good, telemetry.Nop()); err != nil {
		t.Error(err)
	}
}

// upCollector finds its device up.
type upCollector struct{}

func (upCollector) Collect(ctx context.Context, target collect.Target, emit collect.Emit) error {
	data, err := json.Marshal(event.Reachability{Device: target.Device, Status: event.StatusUp, Method: "tcp"})
	if err != nil {
		return err
	}
	return emit(ctx, event.Event{Kind: event.KindState, Entity: target.Device, Type: event.TypeReachability, Data: data})
}

// TestPoller: a poller waits for its credentials and says so, fetches its
// configuration, polls, and what it found arrives, with the change that
// follows from it. Started again without a control plane it goes on.
func TestPoller(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	js := pollertest.Streams(t, pollertest.Connect(t, s.ClientURL(), "reader"))
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	pub := pollertest.Creds(t, filepath.Join(dir, "tmp"))
	var log pollertest.Log
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(&log, nil))
	cfg := Config{
		User: "syd-01", Dir: filepath.Join(dir, "data"), CredsFile: file, Servers: []string{s.ClientURL()},
		Collectors: map[string]collect.Collector{"up": upCollector{}}, Version: "test",
	}
	begin := func() (*Poller, func()) {
		p, err := New(cfg, tel)
		if err != nil {
			t.Fatal(err)
		}
		return p, pollertest.Background(t, p.Run)
	}
	p, stop := begin()
	testwait.True(t, "it says that it waits", func() bool { return strings.Contains(log.String(), "waiting for the credentials file") })
	if p.Connected() {
		t.Fatal("connected without credentials")
	}
	control := pollertest.Connect(t, s.ClientURL(), "control")
	ctl := pollertest.NewControl(t, control, pub)
	conf := pollertest.ConfigOf("syd-01", 3, "r1")
	conf.Devices[0].Checks = []api.PollerCheck{{Name: "up", Collector: "up", Interval: api.Duration(100 * time.Millisecond), Timeout: api.Duration(time.Second)}}
	ctl.Lock()
	ctl.Config = conf
	ctl.Unlock()
	if err := os.Rename(filepath.Join(dir, "tmp"), file); err != nil {
		t.Fatal(err)
	}
	count := func(k event.Kind, typ event.Type) (n int) {
		for _, e := range pollertest.Stored(t, js, k) {
			if e.Entity == "r1" && e.Type == typ {
				n++
			}
		}
		return n
	}
	testwait.True(t, "states arrive", func() bool { return count(event.KindState, event.TypeReachability) >= 3 })
	testwait.True(t, "the change arrives", func() bool { return count(event.KindEvent, event.TypeReachabilityChanged) == 1 })
	testwait.True(t, "a report", func() bool {
		ctl.Lock()
		defer ctl.Unlock()
		n := len(ctl.Reports)
		return n > 0 && ctl.Reports[n-1].Revision == 3 && ctl.Reports[n-1].Version == "test" && ctl.Reports[n-1].Epoch > 0
	})
	stop()
	control.Close()
	secret, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before := count(event.KindState, event.TypeReachability)
	p, stop = begin()
	testwait.True(t, "it goes on without a control plane", func() bool { return count(event.KindState, event.TypeReachability) > before+2 })
	if !p.Connected() {
		t.Error("not connected")
	}
	stop()
	if n := count(event.KindEvent, event.TypeReachabilityChanged); n != 1 {
		t.Errorf("%d changes after a restart in which nothing changed", n)
	}
	seed := strings.Split(string(secret), "\n")[5]
	if !strings.HasPrefix(seed, "SU") || strings.Contains(log.String(), seed) {
		t.Errorf("the seed %.2s… is in the log, or this test does not know it", seed)
	}
}
