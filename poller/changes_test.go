package poller

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/poller/collect"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

// TestOnlyChangesAreSent: once the control plane says that heartbeats are
// understood, what is unchanged is not sent again; the heartbeats count the runs,
// and their digest is that of what was stored; when a primary asks for a device,
// its states come again.
func TestOnlyChangesAreSent(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	js := pollertest.Streams(t, pollertest.Connect(t, s.ClientURL(), "reader"))
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	ctl := pollertest.NewControl(t, pollertest.Connect(t, s.ClientURL(), "control"), pollertest.Creds(t, file))
	conf := pollertest.ConfigOf("syd-01", 3, "r1")
	conf.Devices[0].Checks = []api.PollerCheck{{Name: "up", Collector: "up", Interval: api.Duration(100 * time.Millisecond), Timeout: api.Duration(time.Second)}}
	conf.Polls = &api.Polls{MaxMessage: 1 << 18, State: 1}
	ctl.Lock()
	ctl.Config = conf
	ctl.Unlock()
	p, err := New(Config{
		User: "syd-01", Dir: filepath.Join(dir, "data"), CredsFile: file, Servers: []string{s.ClientURL()},
		Collectors: map[string]collect.Collector{"up": upCollector{}}, Version: "test",
	}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	stop := pollertest.Background(t, p.Run)
	// beats returns the states of r1 and its parts, and the last heartbeat.
	beats := func() (states []event.Event, last event.Seen) {
		for _, e := range pollertest.Stored(t, js, event.KindState) {
			switch {
			case e.Type == event.TypeSeen && json.Unmarshal(e.Data, &last) != nil:
				t.Errorf("%s", e.Data)
			case event.InDigest(e.Type):
				states = append(states, e)
			}
		}
		return states, last
	}
	runs := func(s event.Seen) uint64 {
		if len(s.Checks) == 1 {
			return s.Checks[0].Runs
		}
		return 0
	}
	testwait.True(t, "twenty runs", func() bool { _, last := beats(); return runs(last) >= 20 })
	states, last := beats()
	if len(states) != 2 || last.States != 2 { // the device, and its check
		t.Errorf("%d states were sent, the heartbeat says %d", len(states), last.States)
	}
	var d event.Digest
	for _, e := range states {
		if e.Sequence < last.From {
			t.Errorf("%s has sequence %d, from is %d", e.Type, e.Sequence, last.From)
		}
		d = d.Add(event.DigestOf(e.Entity, e.Type, e.Data))
	}
	if d.String() != last.Digest {
		t.Errorf("digest %s, of what is stored it is %s", last.Digest, d)
	}
	ctl.Lock()
	ctl.Config.Polls = &api.Polls{MaxMessage: 1 << 18, State: 1, Resend: []api.Resend{{Device: "r1", Asked: time.Now()}}}
	ctl.Unlock()
	testwait.True(t, "the device is sent again", func() bool { states, _ := beats(); return len(states) == 4 })
	ctl.Lock()
	ctl.Config.Polls = nil
	ctl.Unlock()
	testwait.True(t, "every state is sent again", func() bool { states, _ := beats(); return len(states) >= 20 })
	stop()
}
