package poller

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/poller/collect"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

// stuck is a collector that ignores its context on device r0 until it is let go.
type stuck struct {
	letGo chan struct{}
	runs  atomic.Int32
}

func (c *stuck) Collect(ctx context.Context, t collect.Target, emit collect.Emit) error {
	c.runs.Add(1)
	if t.Device != "r0" {
		return nil
	}
	<-c.letGo
	return emit(context.WithoutCancel(ctx), collect.State(t.Entity(), event.TypeCheck, event.Check{Status: event.CheckOK}))
}

// TestStopTakesTwoSecondsAtMost: also with a collector that ignores its context,
// and without a node to send to.
func TestStopTakesTwoSecondsAtMost(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	dir := t.TempDir()
	file := dir + "/syd-01.creds"
	ctl := pollertest.NewControl(t, pollertest.Connect(t, s.ClientURL(), "control"), pollertest.Creds(t, file))
	cfg := pollertest.ConfigOf("syd-01", 3, "r0", "r1", "r2")
	for i := range cfg.Devices {
		cfg.Devices[i].Checks = []api.PollerCheck{{Name: "a", Collector: "fake", Interval: api.Duration(time.Minute), Timeout: api.Duration(5 * time.Second)}}
	}
	ctl.Lock()
	ctl.Config = cfg
	ctl.Unlock()
	c := &stuck{letGo: make(chan struct{})}
	defer close(c.letGo)
	p, err := New(Config{User: "syd-01", Dir: dir, CredsFile: file, Servers: []string{s.ClientURL()}, Collectors: map[string]collect.Collector{"fake": c}}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	testwait.True(t, "the stuck collector and the others run", func() bool { return c.runs.Load() == 3 })
	// What is in the outbox has no answer.
	if _, err := pollertest.Connect(t, s.ClientURL(), "door").Subscribe("in.>", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	testwait.True(t, "messages are in flight", func() bool { return p.out.Load().Stats().InFlight > 0 })
	began := time.Now()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the stop took %s", took)
	} else {
		t.Logf("the stop took %s", took.Round(time.Millisecond))
	}
}
