package channel

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

// applied collects what a channel applies.
type applied struct {
	mu   sync.Mutex
	list []api.PollerConfig
}

func (a *applied) apply(cfg api.PollerConfig) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, cfg)
}

func (a *applied) last() (uint64, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) == 0 {
		return 0, 0
	}
	return a.list[len(a.list)-1].Revision, len(a.list)
}

// newChannel returns a channel that gives its configurations to a.
func newChannel(dir, user, credsFile string, a *applied) *Channel {
	return New(Config{
		User: user, Dir: dir, CredsFile: credsFile,
		Apply: a.apply, Pace: func(api.Pace) {}, Types: func(map[event.Type]int) {}, Polls: func(*api.Polls) {},
	}, telemetry.Nop().Log)
}

// TestChannel: configuration at the start, on a hint, from disk when nothing
// answers; a report when it changed.
func TestChannel(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	ctl := pollertest.NewControl(t, pollertest.Connect(t, s.ClientURL(), "control"), pollertest.Creds(t, file))
	ctl.Set(7, "r1")
	var a applied
	c := newChannel(dir, "syd-01", file, &a)
	c.Restore() // nothing there
	nc := pollertest.Connect(t, s.ClientURL(), "syd-01")
	stop := pollertest.Background(t, func(ctx context.Context) error {
		return c.Run(ctx, nc, func() api.PollerReport { return api.PollerReport{Version: "v", Revision: c.Revision()} })
	})
	testwait.True(t, "the first configuration", func() bool { rev, _ := a.last(); return rev == 7 })
	ctl.Set(9, "r1", "r2")
	testwait.True(t, "the second configuration", func() bool { rev, _ := a.last(); return rev == 9 })
	testwait.True(t, "a report of it", func() bool {
		ctl.Lock()
		defer ctl.Unlock()
		return len(ctl.Reports) > 0 && ctl.Reports[len(ctl.Reports)-1].Revision == 9
	})
	stop()
	ctl.Lock()
	reads := []string{api.ReadsPace, api.ReadsTypes, api.ReadsFormats, api.ReadsPolls, api.ReadsParts}
	if d := cmp.Diff(api.ConfigRequest{Reads: reads}, ctl.Asked[0]); len(ctl.Asked) < 2 || d != "" || ctl.Asked[len(ctl.Asked)-1].Have < 7 {
		t.Errorf("asked %+v\n%s", ctl.Asked, d)
	}
	ctl.Unlock()
	info, err := os.Stat(filepath.Join(dir, configFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("kept configuration: %v, %v", info, err)
	}
	var b applied
	newChannel(dir, "syd-01", file, &b).Restore()
	if d := cmp.Diff([]api.PollerConfig{pollertest.ConfigOf("syd-01", 9, "r1", "r2")}, b.list); d != "" {
		t.Fatal(d)
	}
	var other applied
	newChannel(dir, "mel-01", file, &other).Restore()
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	newChannel(dir, "syd-01", file, &other).Restore()
	if _, n := other.last(); n != 0 {
		t.Fatal("another's or a damaged configuration was applied")
	}
}

// TestChannelOlder: one old answer is a node that lags behind, several mean
// that the registry was restored; another poller's configuration is refused.
func TestChannelOlder(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	ctl := pollertest.NewControl(t, pollertest.Connect(t, s.ClientURL(), "control"), pollertest.Creds(t, file))
	var a applied
	c := newChannel(dir, "syd-01", file, &a)
	client := api.NewChannel(pollertest.Connect(t, s.ClientURL(), "syd-01"), "syd-01", signer(file))
	ask := func() error {
		_, err := c.ask(t.Context(), client)
		return err
	}
	for _, step := range []struct{ answer, want uint64 }{{9, 9}, {5, 9}, {9, 9}, {5, 9}, {5, 9}, {5, 5}, {6, 6}} {
		ctl.Set(step.answer)
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		if got, _ := a.last(); got != step.want {
			t.Fatalf("%+v: %d", step, got)
		}
	}
	ctl.Lock()
	ctl.Config = pollertest.ConfigOf("mel-01", 12)
	ctl.Unlock()
	if err := ask(); !fault.Is(err, fault.Invalid) {
		t.Fatalf("another's configuration: %v", err)
	}
	if got, _ := a.last(); got != 6 {
		t.Fatal("it was applied")
	}
}

// TestKeyOf: errors about credentials never show them.
func TestKeyOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.creds")
	if _, err := keyOf(file); !fault.Is(err, fault.NotFound) {
		t.Errorf("missing: %v", err)
	}
	for _, text := range []string{"", "-----BEGIN NATS USER JWT-----\ne30.e30.e30\n------END NATS USER JWT------\n", "SUASECRETSECRETSECRET"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := signer(file)([]byte("x")); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What the doors take comes with every answer, also with one that nothing else
// has changed, and is kept for a start without the control plane.
func TestTypesComeWithEveryAnswer(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	ctl := pollertest.NewControl(t, pollertest.Connect(t, s.ClientURL(), "control"), pollertest.Creds(t, file))
	ctl.Set(7, "r1")
	var a applied
	var got map[event.Type]int
	var polls *api.Polls
	types := func(v map[event.Type]int) { got = v }
	conf := Config{User: "syd-01", Dir: dir, CredsFile: file, Apply: a.apply, Pace: func(api.Pace) {}, Types: types, Polls: func(p *api.Polls) { polls = p }}
	c := New(conf, telemetry.Nop().Log)
	client := api.NewChannel(pollertest.Connect(t, s.ClientURL(), "syd-01"), "syd-01", signer(file))
	for i, want := range []map[event.Type]int{nil, {event.TypeReachability: 2}, {event.TypeReachability: 3}, nil, {event.TypeReachability: 2}} {
		wantPolls := []*api.Polls{nil, {MaxMessage: 100}, {MaxMessage: 100, State: 1}, {MaxMessage: 100, State: 2}, nil}[i]
		ctl.Lock()
		ctl.Config.Types, ctl.Config.Polls = want, wantPolls
		ctl.Unlock()
		if _, err := c.ask(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()) + cmp.Diff(wantPolls, polls); d != "" {
			t.Error(d)
		}
		got, polls = map[event.Type]int{"left.over.v1": 1}, &api.Polls{State: 99}
		New(conf, telemetry.Nop().Log).Restore()
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()) + cmp.Diff(wantPolls, polls); d != "" {
			t.Errorf("from disk: %s", d)
		}
	}
	if _, n := a.last(); n != 1+5 { // once by the answer, and by each restore
		t.Errorf("the configuration was applied %d times", n)
	}
	if _, err := os.Stat(filepath.Join(dir, configFile)); err != nil {
		t.Error(err)
	}
}
