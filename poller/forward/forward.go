// Package forward brings what waits in a poller's outbox to the doors of its
// tenant: it sends as fast as the pace allows, holds back when a door asks for
// it, and acts on each answer. A message stays in the outbox until it is
// acknowledged or refused for good; one without an answer is sent again with the
// same id.
//
// forward.go sends, retry.go sends again, answer.go decides what an answer means,
// resend.go sends what was acknowledged and is missing, pace.go says how fast is sent, and doors.go leaves out what the nodes do not
// understand yet. It may import bus and what is below it. The outbox is handed in.
package forward

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/internal/wait"
	"midplane/subject"
	"midplane/telemetry"
)

const (
	// ackTimeout is how long an answer is waited for. After it the outcome is
	// unknown, and the same id is sent again.
	ackTimeout = 5 * time.Second
	// sendBatch is how many messages are taken from the outbox at once, at most.
	sendBatch = 256
)

// Outbox is where the messages wait.
type Outbox interface {
	// Next waits for messages that may be sent, and returns up to most. Each goes
	// back through one of the five below.
	Next(ctx context.Context, most int) ([]event.Event, error)
	Return(events ...event.Event) // not sent after all, or too fast
	Ack(e *event.Event)           // stored
	Postpone(e *event.Event)      // not taken now
	Full(e *event.Event)          // not taken now, since its stream is full
	Refuse(e *event.Event)        // will never be taken
	// Unanswered notes that a try had no answer, and may be stored.
	Unanswered(e *event.Event)
	// Low is the ce-low of a message that is sent now.
	Low(k event.Kind) uint64
	// SetWindow says how many messages may be on their way.
	SetWindow(n int)
}

// Forwarder sends what waits in the outbox and deletes what is acknowledged.
// Which message may go is the outbox' decision; that none which went is
// forgotten is the forwarder's.
type Forwarder struct {
	conn     atomic.Pointer[nats.Conn]
	back     chan struct{} // there is a connection again
	launched chan struct{} // something is on its way, and nothing was before
	user     string
	out      Outbox
	pace     *Pacer
	tel      telemetry.Telemetry
	inbox    string // of the answers, with the final dot
	// timeout is ackTimeout, less in tests.
	timeout time.Duration
	resends resends

	mu        sync.Mutex
	flights   map[string]*flight // by token
	tokens    uint64
	lastGood  time.Time            // when the last message that was accepted had been sent
	denied    map[string]time.Time // ids, when they were first denied
	refused   map[event.Type]bool  // types of which a refusal is logged
	full      once.Every           // streams that take nothing are logged now and then
	overdue   bool                 // messages are to be sent once more: before new ones
	trouble   string
	troubleAt time.Time
}

// New returns a forwarder of user that begins with connection nc.
func New(nc *nats.Conn, user string, out Outbox, pace *Pacer, tel telemetry.Telemetry) *Forwarder {
	f := &Forwarder{
		back: make(chan struct{}, 1), launched: make(chan struct{}, 1), user: user, out: out, pace: pace, tel: tel, timeout: ackTimeout,
		// Answers are trusted by their subject: no other may know it.
		inbox:   subject.InboxPrefix(user) + "." + strings.ToLower(rand.Text()) + ".",
		resends: resends{every: resendEvery, wake: make(chan struct{}, 1), all: map[string]*resent{}},
		flights: map[string]*flight{}, denied: map[string]time.Time{}, refused: map[event.Type]bool{},
	}
	f.conn.Store(nc)
	return f
}

func (f *Forwarder) nc() *nats.Conn { return f.conn.Load() }

// Connected reports whether there is a connection to a node now.
func (f *Forwarder) Connected() bool { return f.nc().Status() == nats.CONNECTED }

// Run forwards until ctx ends.
func (f *Forwarder) Run(ctx context.Context) error {
	if err := f.Attach(f.nc()); err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error { return f.send(ctx) })
	g.Go(func() error { return f.look(ctx) })
	g.Go(func() error { return f.resend(ctx) })
	return g.Wait()
}

// Attach makes nc the connection that messages go over. Answers to what went
// over the one before come over either: as long as that one is open nothing has
// to be sent again.
func (f *Forwarder) Attach(nc *nats.Conn) error {
	if _, err := nc.Subscribe(f.inbox+"*", f.onAnswer); err != nil {
		return fault.Wrap(fault.Unavailable, err, "subscribe to answers")
	}
	status := nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	if nc.IsConnected() {
		if err := nc.FlushTimeout(ackTimeout); err != nil {
			return fault.Wrap(fault.Unavailable, err, "subscribe to answers")
		}
	}
	if old := f.conn.Swap(nc); old != nc && !old.IsConnected() {
		wait.Nudge(f.back)
	}
	go func() {
		for s := range status {
			if s == nats.CLOSED {
				return
			}
			if f.nc() == nc {
				wait.Nudge(f.back)
			}
		}
	}()
	return nil
}

// send takes messages from the outbox and launches them, as fast as the pace
// allows and no faster.
func (f *Forwarder) send(ctx context.Context) error {
	for ctx.Err() == nil {
		n, pause := f.may(time.Now())
		if n == 0 {
			_ = wait.For(ctx, pause)
			continue
		}
		f.out.SetWindow(f.pace.window())
		events, err := f.out.Next(ctx, min(n, sendBatch))
		if err != nil {
			if ctx.Err() == nil {
				f.tel.Log.Warn("reading the outbox, trying again", "error", err)
				_ = wait.For(ctx, time.Second)
			}
			continue
		}
		for i := range events {
			// Refused or disconnected since, or the ones before were large.
			if n, _ := f.may(time.Now()); n == 0 || ctx.Err() != nil {
				f.out.Return(events[i:]...)
				break
			}
			f.launch(events[i], nil)
		}
	}
	return nil
}

// may returns how many messages may be launched now, and when there is none,
// when to ask again.
func (f *Forwarder) may(now time.Time) (n int, pause time.Duration) {
	f.mu.Lock()
	overdue := f.overdue
	f.mu.Unlock()
	if overdue || !f.nc().IsConnected() {
		return 0, lookEvery
	}
	return f.pace.ready(now)
}

// launch sends a message for the first time. again: it was acknowledged before.
func (f *Forwarder) launch(e event.Event, again *resent) {
	fl := &flight{e: e, again: again, parent: e.TraceParent, state: e.TraceState}
	if event.TraceSampled(e.TraceParent) {
		ctx := telemetry.Extract(context.Background(), e.TraceParent, e.TraceState)
		ctx, fl.span = f.tel.Tracer.Start(ctx, telemetry.SpanPublish, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
			telemetry.System, telemetry.AttrOperation.String("publish"), telemetry.AttrKind.String(string(e.Kind)),
			telemetry.AttrType.String(string(e.Type)), telemetry.AttrEntity.String(string(e.Entity))))
		fl.parent, fl.state = telemetry.Inject(ctx)
	}
	f.mu.Lock()
	f.tokens++
	fl.token = strconv.FormatUint(f.tokens, 36)
	f.flights[fl.token] = fl
	if len(f.flights) == 1 {
		wait.Nudge(f.launched)
	}
	if again != nil {
		fl.e.Low = f.low(fl)
	}
	msg := f.message(fl, time.Now())
	f.mu.Unlock()
	f.publish(fl, msg)
}

// message makes the message of a try that begins now. The mutex is held.
func (f *Forwarder) message(fl *flight, now time.Time) *nats.Msg {
	fl.open, fl.sent, fl.due = true, now, now.Add(f.timeout)
	e := fl.e
	e.TraceParent, e.TraceState = fl.parent, fl.state
	msg := bus.Message(event.Producer(f.user), &e)
	msg.Reply = f.inbox + fl.token
	f.pace.sent(msg.Size())
	return msg
}

func (f *Forwarder) publish(fl *flight, msg *nats.Msg) {
	if err := f.nc().PublishMsg(msg); err != nil {
		f.mu.Lock()
		f.later(fl, time.Now())
		f.mu.Unlock()
	}
}
