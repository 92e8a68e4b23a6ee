package forward

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/wait"
)

const (
	// resendEvery is how often a message is tried once more of which the stream says
	// that it has it. It says so for as long as it remembers the id, also when the
	// message itself was lost.
	resendEvery = 15 * time.Second
	// resendFor is how long that goes on after the message was last asked for: longer
	// than any stream remembers ids.
	resendFor = 15 * time.Minute
	// resendMost bounds the messages that wait to be sent once more.
	resendMost = 10_000
)

// resent is one message that was acknowledged and is missing all the same.
type resent struct {
	e     event.Event
	due   time.Time
	until time.Time
	away  bool // on its way
}

// resends are the messages that are sent once more, under the same id and sequence. The
// outbox is done with them, and they wait for nothing and nothing for them: readers
// know events and metrics by their sequence, and order them by their time.
type resends struct {
	every time.Duration
	wake  chan struct{}

	mu  sync.Mutex
	all map[string]*resent // by id
}

// SendAgain sends messages once more that were acknowledged, until a stream stores
// them or it is pointless. What is asked for again is tried for longer.
func (f *Forwarder) SendAgain(events ...event.Event) {
	r := &f.resends
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, e := range events {
		if m := r.all[e.ID]; m != nil {
			m.until = now.Add(resendFor)
		} else if len(r.all) < resendMost {
			r.all[e.ID] = &resent{e: e, due: now, until: now.Add(resendFor)}
		}
	}
	wait.Nudge(r.wake)
}

// resend launches what is due, as fast as the pace allows, until ctx ends.
func (f *Forwarder) resend(ctx context.Context) error {
	for ctx.Err() == nil {
		pause := f.resends.every
		if len(f.resends.due(time.Now(), 1)) > 0 {
			n, later := f.may(time.Now())
			for _, m := range f.resends.due(time.Now(), min(n, sendBatch)) {
				f.resends.set(m, true, time.Time{})
				f.launch(m.e, m)
			}
			pause = max(later, lookEvery)
		}
		select {
		case <-ctx.Done():
		case <-f.resends.wake:
		case <-time.After(pause):
		}
	}
	return nil
}

// due returns at most so many messages that are to be sent now. What is too old is
// dropped.
func (r *resends) due(now time.Time, most int) (out []*resent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, m := range r.all {
		switch {
		case m.away:
		case now.After(m.until):
			delete(r.all, id)
		case !m.due.After(now) && len(out) < most:
			out = append(out, m)
		}
	}
	return out
}

func (r *resends) set(m *resent, away bool, due time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.away, m.due = away, due
}

func (r *resends) done(m *resent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, m.e.ID)
}

// answered acts on the answer to a message that was sent once more.
func (r *resends) answered(m *resent, msg *nats.Msg, err error, now time.Time, log *slog.Logger) {
	switch kind := fault.KindOf(err); {
	case kind == "" && !duplicate(msg):
		r.done(m)
		log.Info("a message that was missing is stored again", "id", m.e.ID)
	case kind == fault.Invalid || kind == fault.Denied:
		r.done(m)
		log.Warn("a message that is missing is refused", "id", m.e.ID, "refusal", err)
	default: // the stream still knows the id, or takes nothing now
		r.set(m, false, now.Add(max(r.every, bus.RetryAfter(err))))
	}
}

// duplicate reports whether an answer says that the stream has had the id before.
func duplicate(msg *nats.Msg) bool {
	ack, err := bus.ParseAck(msg.Data)
	return err == nil && ack.Duplicate
}
