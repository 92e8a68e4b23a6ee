// Package probe has every node try its own door: it publishes as a producer does, in a
// tenant of the system's own, and reads back what was stored. The leading node makes
// that tenant. The package touches that tenant alone: its spec, and one entity of its
// STATE for each node.
package probe

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/metric"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/registry"
	"midplane/streams"
	"midplane/subject"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// within is how long one try may take: a quiet one takes milliseconds.
const within = 4 * time.Second

// Dialer opens connections to this node's own server.
type Dialer interface {
	Connect(keys account.Keys, role account.Role, name string) (*nats.Conn, error)
	Control(t *registry.Tenant) (*nats.Conn, error)
}

// Config is what a Probe is given.
type Config struct {
	Node     string
	Registry *registry.Registry
	Dialer   Dialer
	Every    time.Duration // below 0: never
}

// Probe tries one node's door.
type Probe struct {
	cfg      Config
	log      *slog.Logger
	took     metric.Float64Gauge
	failures metric.Int64Counter

	door doorway

	mu   sync.Mutex
	last *api.Probe
}

// New returns a Probe; Run tries.
func New(cfg Config, tel telemetry.Telemetry) (*Probe, error) {
	p := &Probe{cfg: cfg, log: tel.Log}
	var err error
	if p.took, err = tel.Meter.Float64Gauge(telemetry.MetricProbeDuration, metric.WithUnit(telemetry.UnitSeconds),
		metric.WithDescription("how long the last message that went through this node's door and back took")); err != nil {
		return nil, err
	}
	p.failures, err = tel.Meter.Int64Counter(telemetry.MetricProbeFailures, metric.WithDescription("messages that did not come through this node's door and back"))
	return p, err
}

// Run tries until ctx ends.
func (p *Probe) Run(ctx context.Context) error {
	if p.cfg.Every < 0 {
		return nil
	}
	defer p.door.close()
	tick := time.NewTicker(p.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		t := p.cfg.Registry.View().Tenants[event.ProbeTenant]
		if t == nil || t.Made == "" {
			continue // not made yet
		}
		began := time.Now()
		err := p.try(ctx, t)
		if ctx.Err() != nil {
			return nil
		}
		p.note(ctx, began, err)
	}
}

// try sends one message through the door and reads it back.
func (p *Probe) try(ctx context.Context, t *registry.Tenant) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if !t.Readable() {
		return fault.New(fault.Unavailable, "tenant %s is not served by this node: %s", t.ID, t.Problem)
	}
	js, err := p.door.open(p.cfg.Dialer, t)
	if err != nil {
		return err
	}
	msg, id := message(p.cfg.Node)
	ack, err := js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		return fault.Wrap(fault.KindOf(bus.Classify(err)), err, "publish")
	}
	nc, err := p.cfg.Dialer.Control(t)
	if err != nil {
		return err
	}
	got, err := streams.GetMessage(ctx, nc, event.StreamState, streams.Get{Seq: ack.Sequence})
	if err == nil && got.Header.Get(event.HeaderID) != id {
		err = errors.New("another message is stored under its number")
	}
	return fault.Wrap(fault.Unavailable, err, "read message %d back", ack.Sequence)
}

// message is what a node publishes: a fact about itself that replaces the one before,
// so that the stream does not grow.
func message(node string) (msg *nats.Msg, id string) {
	id = rand.Text()
	data, _ := json.Marshal(event.Reachability{Device: event.Entity(node), Status: event.StatusUp, Method: "probe"}) // our own struct
	in := subject.In{Producer: account.UserProbe, Kind: event.KindState, Entity: event.Entity(node), Type: event.TypeReachability}
	return &nats.Msg{Subject: in.String(), Data: data, Header: nats.Header{event.HeaderID: {id}}}, id
}

// note keeps what came of a try that began at a time.
func (p *Probe) note(ctx context.Context, began time.Time, err error) {
	at := metric.WithAttributes(telemetry.AttrNode.String(p.cfg.Node))
	took := time.Since(began)
	p.mu.Lock()
	was := p.last
	p.last = after(was, began, took, err)
	now := p.last
	p.mu.Unlock()
	if err == nil {
		p.took.Record(ctx, took.Seconds(), at)
	} else {
		p.failures.Add(ctx, 1, at)
	}
	switch {
	case now.Failures == api.ProbeFailing:
		p.log.Error("no message comes through this node's door and back", "since", now.Since, "error", err, "page", true)
	case now.Failures == 0 && was != nil && was.Failures >= api.ProbeFailing:
		p.log.Info("messages come through this node's door and back again", "failed", was.Failures)
	}
}

// after is what is known after one more try. It is pure.
func after(was *api.Probe, began time.Time, took time.Duration, err error) *api.Probe {
	now := api.Probe{At: began.UTC().Truncate(time.Millisecond)}
	if err == nil {
		now.TookMS = float64(took.Microseconds()) / 1000
		return &now
	}
	now.Failures, now.Since, now.Problem = 1, &now.At, registry.Clip(err.Error(), 300)
	if was != nil {
		now.TookMS = was.TookMS
	}
	if was != nil && was.Failures > 0 {
		now.Failures, now.Since = was.Failures+1, was.Since
	}
	return &now
}

// Last returns what came of the tries, nil before the first.
func (p *Probe) Last() *api.Probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}
