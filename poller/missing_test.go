package poller

import (
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

// TestMissingMessagesAreSentOnceMore: what EVENTS has lost of a poller's is in its next
// configuration's answer, and the poller sends it again as it was; what another outbox
// had it does not.
func TestMissingMessagesAreSentOnceMore(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	js := pollertest.Streams(t, pollertest.Connect(t, s.ClientURL(), "reader"))
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	pub := pollertest.Creds(t, file)
	ctl := pollertest.NewControl(t, pollertest.Connect(t, s.ClientURL(), "control"), pub)
	conf := pollertest.ConfigOf("syd-01", 3, "r1")
	conf.Devices[0].Checks = []api.PollerCheck{{Name: "up", Collector: "up", Interval: api.Duration(100 * time.Millisecond), Timeout: api.Duration(time.Second)}}
	polls := func(missing ...api.Resend) {
		ctl.Lock()
		defer ctl.Unlock()
		conf.Polls = &api.Polls{MaxMessage: 1 << 20, State: 1, Ledger: true, Missing: missing}
		ctl.Config = conf
	}
	polls()
	p, err := New(Config{User: "syd-01", Dir: filepath.Join(dir, "data"), CredsFile: file, Servers: []string{s.ClientURL()},
		Collectors: map[string]collect.Collector{"up": upCollector{}}, Version: "test"}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	pollertest.Background(t, p.Run)
	var was event.Event
	testwait.True(t, "an event is stored", func() bool {
		for _, e := range pollertest.Stored(t, js, event.KindEvent) {
			if e.Type == event.TypeReachabilityChanged {
				was = e
			}
		}
		return was.ID != ""
	})
	stream, err := js.Stream(t.Context(), event.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.Duplicates = 100 * time.Millisecond
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, e := range pollertest.Stored(t, js, event.KindEvent) {
		if e.ID == was.ID {
			t.Fatal("it is not taken out")
		}
	}
	lost := api.MessageRange{Stream: event.StreamEvents, Epoch: was.Epoch, From: was.Sequence, To: was.Sequence}
	other := lost
	other.Epoch--
	polls(api.Resend{Messages: &other, Asked: time.Now()}, api.Resend{Messages: &lost, Asked: time.Now()})
	testwait.True(t, "it is stored again", func() bool {
		for _, e := range pollertest.Stored(t, js, event.KindEvent) {
			if e.ID == was.ID {
				return string(e.Data) == string(was.Data) && e.Sequence == was.Sequence && e.Time.Equal(was.Time)
			}
		}
		return false
	})
}
