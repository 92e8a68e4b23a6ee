package poller

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
	"midplane/poller/outbox"
	"midplane/subject"
	"midplane/telemetry"
)

const (
	// ackTimeout is how long an answer is waited for. After it the outcome is
	// unknown, and the same id is sent again.
	ackTimeout = 5 * time.Second
	// sendBatch is how many messages are taken from the outbox at once.
	sendBatch = 256
	// lookEvery is how often time-outs and retries are looked for.
	lookEvery = 50 * time.Millisecond
	// lastAnswers is how long a stop waits for answers: each that is missed is
	// sent twice, which is harmless.
	lastAnswers = 2 * time.Second
)

// forwarder sends what waits in the outbox and deletes what is acknowledged.
// Which message may go is the outbox' decision; that none which went is
// forgotten is the forwarder's.
type forwarder struct {
	conn  atomic.Pointer[nats.Conn]
	back  chan struct{} // there is a connection again
	user  string
	out   *outbox.Outbox
	tel   telemetry.Telemetry
	inbox string // of the answers, with the final dot
	// timeout is ackTimeout, less in tests.
	timeout time.Duration

	mu        sync.Mutex
	flights   map[string]*flight // by token
	tokens    uint64
	lastGood  time.Time            // when the last message that was accepted had been sent
	denied    map[string]time.Time // ids, when they were first denied
	told      map[event.Type]bool  // refusals are logged once a type
	fullAt    map[event.Kind]time.Time
	hold      time.Time // nothing is launched before: a limit said so
	trouble   string
	troubleAt time.Time
}

// flight is one message on its way, through all its tries.
type flight struct {
	e      event.Event
	token  string
	span   trace.Span // nil when not sampled
	parent string     // trace headers it travels with
	state  string

	open  bool      // an answer is waited for
	sent  time.Time // the last time
	due   time.Time // when it times out or is tried again
	delay interface{ NextBackOff() time.Duration }
}

func newForwarder(nc *nats.Conn, user string, out *outbox.Outbox, tel telemetry.Telemetry) *forwarder {
	f := &forwarder{
		back: make(chan struct{}, 1), user: user, out: out, tel: tel, timeout: ackTimeout,
		// Answers are trusted by their subject: nobody else may know it.
		inbox:   subject.InboxPrefix(user) + "." + strings.ToLower(rand.Text()) + ".",
		flights: map[string]*flight{}, denied: map[string]time.Time{}, told: map[event.Type]bool{}, fullAt: map[event.Kind]time.Time{},
	}
	f.conn.Store(nc)
	return f
}

func (f *forwarder) nc() *nats.Conn { return f.conn.Load() }

// Run forwards until ctx ends.
func (f *forwarder) Run(ctx context.Context) error {
	if err := f.attach(f.nc()); err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error { return f.send(ctx) })
	g.Go(func() error { return f.look(ctx) })
	return g.Wait()
}

// attach makes nc the connection that messages go over. Answers to what went
// over the one before come over either: as long as that one is open nothing has
// to be sent again.
func (f *forwarder) attach(nc *nats.Conn) error {
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
		nudge(f.back)
	}
	go func() {
		for s := range status {
			if s == nats.CLOSED {
				return
			}
			if f.nc() == nc {
				nudge(f.back)
			}
		}
	}()
	return nil
}

// send takes messages from the outbox and launches them.
func (f *forwarder) send(ctx context.Context) error {
	for ctx.Err() == nil {
		if !f.nc().IsConnected() {
			wait(ctx, lookEvery)
			continue
		}
		events, err := f.out.Next(ctx, sendBatch)
		if err != nil {
			if ctx.Err() == nil {
				f.tel.Log.Warn("reading the outbox, trying again", "error", err)
				wait(ctx, time.Second)
			}
			continue
		}
		for d := f.held(time.Now()); d > 0 && ctx.Err() == nil; d = f.held(time.Now()) {
			wait(ctx, d)
		}
		for i := range events {
			if ctx.Err() != nil {
				f.out.Postpone(&events[i])
				continue
			}
			f.launch(events[i])
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// launch sends a message for the first time.
func (f *forwarder) launch(e event.Event) {
	fl := &flight{e: e, parent: e.TraceParent, state: e.TraceState}
	if telemetry.Sampled(e.TraceParent) {
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
	msg := f.message(fl, time.Now())
	f.mu.Unlock()
	f.publish(fl, msg)
}

// message makes the message of a try that begins now. The mutex is held.
func (f *forwarder) message(fl *flight, now time.Time) *nats.Msg {
	fl.open, fl.sent, fl.due = true, now, now.Add(f.timeout)
	e := fl.e
	e.TraceParent, e.TraceState = fl.parent, fl.state
	msg := bus.Message(event.Producer(f.user), &e)
	msg.Reply = f.inbox + fl.token
	return msg
}

func (f *forwarder) publish(fl *flight, msg *nats.Msg) {
	if err := f.nc().PublishMsg(msg); err != nil {
		f.mu.Lock()
		f.later(fl, time.Now())
		f.mu.Unlock()
	}
}

// later plans the next try of a message whose outcome is unknown. It stays on
// its way, and its entity's others wait for it. The mutex is held.
func (f *forwarder) later(fl *flight, now time.Time) {
	if fl.delay == nil {
		fl.delay = outbox.NewBackoff()
	}
	fl.open = false
	fl.due = now.Add(fl.delay.NextBackOff())
}

// look finds what timed out or is to be tried again, until ctx ends and the
// last answers are in.
func (f *forwarder) look(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var until <-chan time.Time
	done := ctx.Done()
	for {
		select {
		case <-done:
			done, until = nil, time.After(lastAnswers)
		case <-until:
			return nil
		case <-f.back:
			f.again(true)
		case <-tick.C:
			if until == nil {
				f.again(false)
			} else if f.waiting() == 0 {
				return nil
			}
		}
	}
}

// waiting is how many answers are waited for.
func (f *forwarder) waiting() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fl := range f.flights {
		if fl.open {
			n++
		}
	}
	return n
}

// again sends what is due once more, with the same id. all: everything, since
// answers to what was sent over the connection before are lost.
func (f *forwarder) again(all bool) {
	if !f.nc().IsConnected() {
		return
	}
	type try struct {
		fl  *flight
		msg *nats.Msg
	}
	var tries []try
	now := time.Now()
	f.mu.Lock()
	for _, fl := range f.flights {
		switch {
		case !all && fl.due.After(now):
		case fl.open && !all: // timed out
			f.later(fl, now)
		default:
			fl.e.Low = f.out.Low(fl.e.Kind)
			tries = append(tries, try{fl, f.message(fl, now)})
		}
	}
	f.mu.Unlock()
	for _, t := range tries {
		f.publish(t.fl, t.msg)
	}
}
