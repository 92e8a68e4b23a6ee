package tenancy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/bus"
	"midplane/event"
)

// side watches one tenant: how far its streams are, and what reaches the users
// that asked for nothing.
type side struct {
	tenant  string
	canary  *nats.Conn
	auditor *nats.Conn
	quiet   []*nats.Conn
	spies   []*nats.Subscription
	last    map[string]uint64 // sequence by stream

	tolerant bool // what reaches the watchers is counted only
	reached  int
}

// canaries are what is published after every attack, one for each stream.
var canaries = []struct{ stream, subject, data string }{
	{event.StreamEvents, "in.canary.event.info.canary." + string(event.TypeReachabilityChanged), `{"device":"canary","from":"up","to":"down","message":"sings"}`},
	{event.StreamState, "in.canary.state.canary." + string(event.TypeReachability), `{"device":"canary","status":"up","method":"ping"}`},
	{event.StreamMetrics, "in.canary.metric.canary." + string(event.TypePing), `{"rttMs":1,"lossPercent":0}`},
	{event.StreamDead, "in.canary.dead.EVENTS.dropped.canary." + string(event.TypePing), `sings`},
}

func (w *world) side(ctx context.Context, tenant string) (*side, error) {
	s := &side{tenant: tenant, last: map[string]uint64{}}
	var err error
	if s.canary, err = w.connect(tenant, canary); err != nil {
		return nil, err
	}
	if s.auditor, err = w.connect(tenant, "auditor"); err != nil {
		return nil, err
	}
	for _, user := range []string{quietPoller, quietReader} {
		nc, err := w.connect(tenant, user)
		if err != nil {
			return nil, err
		}
		s.quiet = append(s.quiet, nc)
		listen := []string{"_INBOX." + user + ".>"}
		if user == quietPoller {
			listen = append(listen, "hint."+user)
		}
		for _, subj := range listen {
			sub, err := nc.SubscribeSync(subj)
			if err != nil {
				return nil, err
			}
			s.spies = append(s.spies, sub)
		}
		if err := nc.FlushWithContext(ctx); err != nil {
			return nil, err
		}
	}
	for _, c := range canaries { // the first of each stream stays where it is
		ack, err := s.sing(ctx, c.subject, c.data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.subject, err)
		}
		s.last[ack.Stream] = ack.Seq
	}
	return s, nil
}

func (s *side) sing(ctx context.Context, subject, data string) (bus.Ack, error) {
	msg, err := s.canary.RequestWithContext(ctx, subject, []byte(data))
	if err != nil {
		return bus.Ack{}, err
	}
	return bus.ParseAck(msg.Data)
}

// follow takes note of what was stored since the last look.
func (s *side) follow(t *testing.T) {
	t.Helper()
	for _, c := range canaries {
		ack, err := s.sing(ctxOf(t), c.subject, c.data)
		if err != nil {
			t.Fatalf("%s: %v", c.stream, err)
		}
		s.last[c.stream] = ack.Seq
	}
	s.received(ctxOf(t))
}

// unharmed fails unless every stream takes the next message at the very next
// sequence, still has its first one, and the watchers received nothing.
func (s *side) unharmed(t *testing.T, when string, dead int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var g sync.WaitGroup
	var mu sync.Mutex
	for _, c := range canaries {
		g.Go(func() {
			ack, err := s.sing(ctx, c.subject, c.data)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%s: %s does not take the next message: %v", when, c.stream, err)
				return
			}
			may := uint64(0)
			if c.stream == event.StreamDead {
				may = uint64(dead)
			}
			if n := ack.Seq - s.last[c.stream] - 1; n > may {
				t.Errorf("%s: %d messages were stored in %s, want at most %d: %s", when, n, c.stream, may, s.get(ctx, c.stream, ack.Seq-1))
			}
			s.last[c.stream] = ack.Seq
		})
		g.Go(func() {
			if got := s.get(ctx, c.stream, 1); got == "" {
				mu.Lock()
				defer mu.Unlock()
				t.Errorf("%s: %s has lost its first message", when, c.stream)
			}
		})
	}
	g.Wait()
	for _, what := range s.received(ctx) {
		if s.tolerant {
			s.reached++
			continue
		}
		t.Errorf("%s: %s", when, what)
	}
}

// get returns the subject of a stored message, "" when there is none.
func (s *side) get(ctx context.Context, stream string, seq uint64) string {
	msg, err := s.auditor.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, []byte(fmt.Sprintf(`{"seq":%d}`, seq)))
	if err != nil {
		return ""
	}
	var got struct {
		Message struct {
			Subject string `json:"subject"`
			Data    []byte `json:"data"`
		} `json:"message"`
	}
	if json.Unmarshal(msg.Data, &got) != nil || got.Message.Subject == "" {
		return ""
	}
	return fmt.Sprintf("%s %.200s", got.Message.Subject, got.Message.Data)
}

// received takes what reached the watchers. What the control plane tells
// pollers from time to time is its right.
func (s *side) received(ctx context.Context) (out []string) {
	for _, nc := range s.quiet {
		if err := nc.FlushWithContext(ctx); err != nil {
			out = append(out, "a watcher lost its connection: "+err.Error())
		}
	}
	for _, sub := range s.spies {
		for {
			msg, err := sub.NextMsg(0)
			if errors.Is(err, nats.ErrTimeout) {
				break
			}
			if err != nil {
				return append(out, err.Error())
			}
			var hint map[string]uint64
			if json.Unmarshal(msg.Data, &hint) == nil && len(hint) == 1 && hint["revision"] > 0 && sub.Subject == "hint."+quietPoller {
				continue
			}
			out = append(out, fmt.Sprintf("%s received %q with %v", msg.Subject, msg.Data, msg.Header))
		}
	}
	return out
}
