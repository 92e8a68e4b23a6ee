package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/subject"
	"midplane/telemetry"
)

// steady is a stock producer that publishes one event after another for each
// of a few entities, one in flight per entity, and retries with the same id
// until it is acknowledged.
type steady struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	pause time.Duration // of each entity between two events

	mu      sync.Mutex
	acked   map[string]time.Time // by event id
	lastAck time.Time
	longest time.Duration
}

const steadyEntities = 8

func newSteady(servers []string, creds, ca string) (*steady, error) {
	nc, err := bus.Connect(bus.Config{Servers: servers, User: benchUser, Name: "bench", CredsFile: creds, CAFile: ca, MaxWait: 10 * time.Second}, telemetry.Nop())
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	return &steady{nc: nc, js: js, pause: 2 * time.Millisecond, acked: map[string]time.Time{}, lastAck: time.Now()}, err
}

// run publishes until ctx ends; what is in flight then is finished.
func (p *steady) run(ctx context.Context) {
	var wg sync.WaitGroup
	for e := range steadyEntities {
		wg.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				p.publish(e, n)
				time.Sleep(p.pause)
			}
		})
	}
	wg.Wait()
}

func (p *steady) publish(entity, n int) {
	id := fmt.Sprintf("%s/e%d/%d", benchUser, entity, n)
	msg := &nats.Msg{
		Subject: fmt.Sprintf("%sevent.info.e%d.%s", subject.InPrefix(benchUser), entity, event.TypeReachabilityChanged),
		Header:  nats.Header{"Nats-Msg-Id": {id}, "ce-id": {id}},
		Data:    []byte(fmt.Sprintf(`{"device":"e%d","from":"up","to":"down","message":"number %d"}`, entity, n)),
	}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := p.js.PublishMsg(ctx, msg)
		cancel()
		if err == nil {
			p.ack(id)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (p *steady) ack(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.acked[id] = now
	p.longest = max(p.longest, now.Sub(p.lastAck))
	p.lastAck = now
}

func (p *steady) count() int { p.mu.Lock(); defer p.mu.Unlock(); return len(p.acked) }

func (p *steady) resetGap() { p.mu.Lock(); defer p.mu.Unlock(); p.longest, p.lastAck = 0, time.Now() }

func (p *steady) gap() time.Duration { p.mu.Lock(); defer p.mu.Unlock(); return p.longest }

// progress waits until n messages are acknowledged.
func (p *steady) progress(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for p.count() < n {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no progress for a minute: %d of %d acknowledged", p.count(), n)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// compare holds the primary's event log against what was acknowledged.
func (p *steady) compare(ctx context.Context, d *testcluster.Deployment) (lost, doubled, disorder int, err error) {
	err = d.Await(ctx, func(ctx context.Context) error {
		lost, doubled, disorder = 0, 0, 0
		out, err := d.Run(ctx, "get", "events", "--tenant", "acme", "--type", string(event.TypeReachabilityChanged), "--limit", "0", "-o", "json")
		if err != nil {
			return err
		}
		var rows []api.Event
		if err := json.Unmarshal(out, &rows); err != nil {
			return err
		}
		seen, last := map[string]bool{}, map[string]int{}
		for _, e := range rows {
			if seen[e.ID] {
				doubled++
			}
			seen[e.ID] = true
			var entity string
			var n int
			if _, err := fmt.Sscanf(strings.ReplaceAll(e.ID, "/", " "), benchUser+" %s %d", &entity, &n); err != nil {
				return fmt.Errorf("event id %q", e.ID)
			}
			if n <= last[entity] {
				disorder++
			}
			last[entity] = n
		}
		for id := range p.acked {
			if !seen[id] {
				lost++
			}
		}
		if lost > 0 {
			return fmt.Errorf("%d acknowledged events are not in the primary yet", lost)
		}
		return nil
	})
	if lost > 0 {
		err = nil // the figure shows it
	}
	return lost, doubled, disorder, err
}
