package lab

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/internal/wait"
	"midplane/streams"
)

const (
	subscription = "subscription"
	application  = "billing"
	subscribed   = "all"
	// refuse is how many messages there are to one that the application asks for again.
	refuse = 50
)

// Subscription is an application that reads a declared subscription of EVENTS and
// acknowledges each message by itself; one in fifty it refuses at first.
type Subscription struct {
	began time.Time
	mu    sync.Mutex
	got   map[uint64]time.Time // by sequence in EVENTS: when it was first delivered
	again int                  // deliveries beyond the first
	late  map[uint64]bool      // first got when delivered again: the delivery before was lost
	bound int                  // how often the consumer was found
	log   []string             // what went wrong, when
	stop  context.CancelFunc
	ended chan struct{}
}

// Name is the workload's.
func (s *Subscription) Name() string { return subscription }

// Declare declares the subscription and its reader.
func (s *Subscription) Declare(w *World) {
	s.got, s.late = map[uint64]time.Time{}, map[uint64]bool{}
	w.users[application] = []string{"reader", "--subscription", subscribed}
	w.declaration += "subscriptions:\n" + indented(1, fmt.Sprintf("- {application: %s, name: %s, stream: %s}", application, subscribed, event.StreamEvents))
}

// Run begins to read. Reading ends when it is judged.
func (s *Subscription) Run(ctx context.Context, w *World) error {
	js, err := w.connect(application, 1)
	if err != nil {
		return err
	}
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.began = w.began
	s.ended = make(chan struct{})
	s.stop = sync.OnceFunc(func() {
		stop()
		<-s.ended
		js.Conn().Close()
	})
	w.t.Cleanup(s.stop)
	go func() {
		defer close(s.ended)
		for reading.Err() == nil {
			s.read(reading, js)
			_ = wait.For(reading, 200*time.Millisecond) // the loop ends with it
		}
	}()
	<-ctx.Done()
	return nil
}

// read reads until the consumer, or ctx, ends.
func (s *Subscription) read(ctx context.Context, js jetstream.JetStream) {
	ask, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	c, err := js.Consumer(ask, event.StreamEvents, streams.DurableName(application, subscribed))
	if err != nil {
		s.note("bind", err)
		return
	}
	it, err := c.Messages(jetstream.PullMaxMessages(100), jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(2*time.Second))
	if err != nil {
		s.note("ask", err)
		return
	}
	defer it.Stop()
	info := c.CachedInfo()
	s.note("bound", fmt.Errorf("led by %s, %d wait, %d not acknowledged", info.Cluster.Leader, info.NumPending, info.NumAckPending))
	s.mu.Lock()
	s.bound++
	s.mu.Unlock()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			s.note("next", err)
			return
		}
		at, err := m.Metadata()
		if err != nil {
			continue
		}
		if s.take(at.Sequence.Stream, at.NumDelivered, time.Now()) {
			_ = m.Nak() // it comes again, at the latest when nothing was acknowledged in time
			continue
		}
		_ = m.Ack() // when it is lost the message comes again
	}
}

func (s *Subscription) note(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf("%.1f s %s: %v", time.Since(s.began).Seconds(), what, err))
}

// take counts a delivery, and reports whether it is to come again.
func (s *Subscription) take(seq, delivered uint64, now time.Time) (refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.got[seq]; known {
		s.again++
		return false
	}
	s.got[seq] = now
	if delivered > 1 {
		s.late[seq] = true
	}
	return seq%refuse == 0
}

// Judge waits until all that EVENTS holds was delivered.
func (s *Subscription) Judge(ctx context.Context, w *World) (p Part) {
	if s.stop == nil {
		p.find("the application never ran")
		return p
	}
	stored := map[uint64]string{}
	if err := w.read(ctx, event.StreamEvents, func(m jetstream.Msg) error {
		at, err := m.Metadata()
		if err == nil {
			stored[at.Sequence.Stream] = m.Subject()
		}
		return err
	}); err != nil {
		p.find("%v", err)
		return p
	}
	wait, cancel := context.WithTimeout(ctx, streams.AckWait+30*time.Second)
	defer cancel()
	_ = w.sys.Await(wait, func(context.Context) error { // what is missing is found below
		if missing := s.missing(stored); len(missing) > 0 {
			return fmt.Errorf("%d are missing", len(missing))
		}
		return nil
	})
	s.stop()
	for _, seq := range s.missing(stored) {
		p.find("sequence %d (%s) is stored, and was never delivered", seq, stored[seq])
	}
	silent, from := silence(w.set.stored, s.punctual())
	if silent > mostSilent {
		p.find("nothing was delivered for %.1f s from %.1f s on, although something was stored: %s", silent.Seconds(), from.Sub(w.began).Seconds(), strings.Join(s.log, "; "))
	}
	p.Figures = fmt.Sprintf("%d delivered, %d times again, %d of them first got then, %d times bound, silent for at most %.1f s", len(s.got), s.again+len(s.late), len(s.late), s.bound, silent.Seconds())
	return p
}

// punctual is when each message was got, without those whose first delivery was lost: they
// come when the server has waited for their acknowledgement (streams.AckWait).
func (s *Subscription) punctual() map[uint64]time.Time {
	out := maps.Clone(s.got)
	for seq := range s.late {
		delete(out, seq)
	}
	return out
}

// missing are the stored sequences that were never delivered, in order.
func (s *Subscription) missing(stored map[uint64]string) (out []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for seq := range stored {
		if _, ok := s.got[seq]; !ok {
			out = append(out, seq)
		}
	}
	slices.Sort(out)
	return out
}
