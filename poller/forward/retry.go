package forward

import (
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"midplane/event"
	"midplane/internal/wait"
)

const (
	// lookEvery is how often time-outs and retries are looked for.
	lookEvery = 50 * time.Millisecond
	// A message without an answer is tried again after a delay that grows from
	// retryFirst to retryMost.
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
	// lastAnswers is how long a stop waits for answers: each that is missed is
	// sent twice, which is harmless.
	lastAnswers = 500 * time.Millisecond
)

// flight is one message on its way, through all its tries.
type flight struct {
	e      event.Event
	token  string
	span   trace.Span // nil when not sampled
	parent string     // trace headers it travels with
	state  string

	again *resent // it was acknowledged before; nil: it waits in the outbox

	open  bool          // an answer is waited for
	sent  time.Time     // the last time
	due   time.Time     // when it times out or is tried again
	delay *wait.Growing // between tries; nil before the first has failed
}

// later plans the next try of a message whose outcome is unknown. It stays on
// its way, and its entity's others wait for it. The mutex is held.
func (f *Forwarder) later(fl *flight, now time.Time) {
	if fl.delay == nil {
		fl.delay = new(wait.NewGrowing(retryFirst, retryMost).By(2))
	}
	fl.open = false
	fl.due = now.Add(fl.delay.Next())
	f.out.Unanswered(&fl.e)
}

// look finds what timed out or is to be tried again, until ctx ends and the
// last answers are in. While nothing is on its way it sleeps.
func (f *Forwarder) look(ctx context.Context) error {
	var until <-chan time.Time
	done := ctx.Done()
	for {
		var next <-chan time.Time
		if f.flying() {
			next = time.After(lookEvery)
		}
		select {
		case <-done:
			done, until = nil, time.After(lastAnswers)
		case <-until:
			return nil
		case <-f.back:
			f.again(true)
		case <-f.launched:
		case <-next:
			if until == nil {
				f.again(false)
			}
		}
		if until != nil && f.waiting() == 0 {
			return nil
		}
	}
}

// low is the ce-low of a message that is sent now, which is below its own sequence.
func (f *Forwarder) low(fl *flight) uint64 {
	return min(f.out.Low(fl.e.Kind), fl.e.Sequence-1)
}

// flying reports whether anything is on its way. When nothing is, nothing is
// overdue either.
func (f *Forwarder) flying() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.overdue = f.overdue && len(f.flights) > 0
	return len(f.flights) > 0
}

// waiting is how many answers are waited for.
func (f *Forwarder) waiting() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fl := range f.flights {
		if fl.open {
			n++
		}
	}
	return n
}

// again sends what is due once more, with the same id, the longest due first
// and as fast as the pace allows. all: everything is due, since answers to what
// was sent over the connection before are lost.
func (f *Forwarder) again(all bool) {
	if !f.nc().IsConnected() {
		return
	}
	now := time.Now()
	type try struct {
		fl  *flight
		msg *nats.Msg
	}
	var tries []try
	f.mu.Lock()
	for _, fl := range f.due(now, all) {
		if n, _ := f.pace.ready(now); n == 0 {
			break
		}
		fl.e.Low = f.low(fl)
		tries = append(tries, try{fl, f.message(fl, now)})
	}
	f.overdue = len(f.due(now, false)) > 0
	f.mu.Unlock()
	for _, t := range tries {
		f.publish(t.fl, t.msg)
	}
}

// due returns what is to be sent once more by now, the longest due first. The
// mutex is held.
func (f *Forwarder) due(now time.Time, all bool) (out []*flight) {
	for _, fl := range f.flights {
		switch {
		case all: // what waits to be tried again, too: there is a connection now
			fl.open, fl.due = false, now
			f.out.Unanswered(&fl.e)
		case fl.open && !fl.due.After(now): // timed out
			f.later(fl, now)
		}
		if !fl.open && !fl.due.After(now) {
			out = append(out, fl)
		}
	}
	slices.SortFunc(out, func(a, b *flight) int { return a.due.Compare(b.due) })
	return out
}
