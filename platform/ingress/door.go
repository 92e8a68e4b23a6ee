package ingress

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"midplane/event"
	"midplane/internal/pulse"
	"midplane/platform/ingress/admit"
	"midplane/subject"
	"midplane/telemetry"
)

// Pending limits of the subscription: small, so that a slow door shows at once.
const (
	pendingMessages = 8192
	pendingBytes    = 16 << 20
)

// door is the ingress of one tenant on this node: one connection, one
// subscription, one goroutine, so that a producer's messages stay in order.
type door struct {
	tenant  event.Tenant
	account string          // public key
	key     []byte          // seed of the signing key that its connection is of
	begin   <-chan struct{} // nil, or closed when the door before it is empty
	nc      *nats.Conn
	sub     *nats.Subscription
	broker  Broker
	tel     telemetry.Telemetry

	snapshot atomic.Pointer[admit.Snapshot]
	limit    limiter
	dead     *deadLetters
	room     *shares
	stores   *stores
	leader   [4]leaderCheck // by kind
	counts   counts

	pulse *pulse.Pulse
	stops *atomic.Uint64 // of the process
	born  uint64         // stops when the door was made

	connected func() bool // whether nc is
	outage    outage
	excluded  *exclusions
}

// outage is how long a door has been without its connection. In that time the
// server answers producers that there are no responders.
type outage struct{ since time.Time }

// outageFor is what a connection may take to come back before its door counts
// as closed.
const outageFor = 2 * time.Second

// long notes whether the connection is there and reports whether it has been
// gone for too long.
func (o *outage) long(connected bool, now time.Time) bool {
	switch {
	case connected:
		o.since = time.Time{}
	case o.since.IsZero():
		o.since = now
	}
	return !connected && now.Sub(o.since) > outageFor
}

// leaderCheck remembers for a moment whether a stream has a leader: asking
// once per message costs a third of the throughput.
type leaderCheck struct {
	at time.Time
	ok bool
}

const leaderEvery = 50 * time.Millisecond

func kindIndex(k event.Kind) int {
	switch k {
	case event.KindEvent:
		return 0
	case event.KindState:
		return 1
	case event.KindMetric:
		return 2
	}
	return 3
}

func (d *door) open() error {
	sub, err := d.nc.QueueSubscribe(subject.IngressAll, "ingress", d.handle)
	if err != nil {
		return err
	}
	d.sub = sub
	if err := sub.SetPendingLimits(pendingMessages, pendingBytes); err != nil {
		return err
	}
	// Only when the server has taken the subscription is the door open.
	return d.nc.FlushTimeout(5 * time.Second)
}

// close lets what has arrived go through first.
func (d *door) close() {
	if d.sub != nil {
		_ = d.sub.Drain() // the connection may be gone already
	}
	_ = d.nc.Drain()
}

func newID() string {
	id, err := uuid.NewV7()
	if err != nil { // no randomness: the machine is lost anyway
		return uuid.NewString()
	}
	return id.String()
}

func (d *door) handle(m *nats.Msg) {
	if d.begin != nil {
		<-d.begin
	}
	began := time.Now()
	if d.still(began) {
		d.counts.dropped("stopped")
		return
	}
	snap := d.snapshot.Load()
	producer, drop := admit.Screen(m.Subject, m.Reply)
	if drop != admit.DropNone {
		d.counts.dropped(drop)
		return
	}
	in := incoming(m)
	_, known := snap.Users[string(producer)]
	if v := d.limit.allow(began, producer, known, m.Size()); v.wait > 0 {
		d.refuse(in, producer, v.refusal())
		if v.flood != "" {
			d.shutOut(snap, v.flood)
		}
		return
	}
	a, refusal := admit.Admit(snap, producer, in, began, newID)
	if refusal == nil {
		refusal = d.ready(snap, a, m.Size()+stamps, began)
	}
	if refusal != nil {
		d.refuse(in, producer, refusal)
		return
	}
	end := d.trace(a)
	if err := d.nc.PublishMsg(outgoing(a.Msg)); err != nil {
		// The connection to our own server is gone: no answer, the producer retries.
		d.counts.dropped("forward")
		d.tel.Log.Warn("cannot forward", "tenant", d.tenant, "error", err)
		return
	}
	end()
	d.counts.accepted(a, m.Size(), began)
}

// incoming is a message of the client library as the decision takes it. The
// library does not keep the size of the headers; it is what is left.
func incoming(m *nats.Msg) admit.Input {
	return admit.Input{Subject: m.Subject, Reply: m.Reply, Header: m.Header, Data: m.Data,
		HeaderBytes: m.Size() - len(m.Subject) - len(m.Reply) - len(m.Data)}
}

// outgoing is what was decided as the client library sends it.
func outgoing(m admit.Message) *nats.Msg {
	return &nats.Msg{Subject: m.Subject, Reply: m.Reply, Header: m.Header, Data: m.Data}
}

// stamps is about how many bytes the door and the stream add to a message.
const stamps = 250

// ready answers for a stream that would not, since it has no leader, and for one that
// has no room for size bytes.
func (d *door) ready(snap *admit.Snapshot, a *admit.Admitted, size int, now time.Time) *admit.Refusal {
	k := a.In.Kind
	check := &d.leader[kindIndex(k)]
	if now.Sub(check.at) > leaderEvery {
		check.ok = d.broker.Interest(d.account, snap.Capability.Prefix()+string(k)+".probe")
		check.at = now
	}
	if !check.ok {
		return admit.Refuse(admit.CodeNoLeader, "stream %s has no leader at this moment; retry with the same message id", k.Stream())
	}
	if r := d.stores.full(now); r != nil {
		return r
	}
	return d.room.take(now, k, size, func() string { return a.In.StoredAs(a.Site).String() })
}

// deadFits reports whether DEAD has room for a dead letter of the door's own.
func (d *door) deadFits(size int) bool {
	now := time.Now()
	return d.stores.full(now) == nil && d.room.take(now, event.KindDead, size, nil) == nil
}

func (d *door) refuse(m admit.Input, producer event.Producer, r *admit.Refusal) {
	d.counts.refused(r)
	stream := ""
	if in, err := subject.ParseIn(m.Subject); err == nil {
		stream = in.Kind.Stream()
		if r.Code == admit.CodeStreamFull {
			d.counts.full[kindIndex(in.Kind)].Add(1)
		}
	}
	_ = d.nc.Publish(m.Reply, r.PubAck(stream)) // the producer times out and retries
	d.dead.keep(d.snapshot.Load(), m, producer, r)
}

// trace puts a span of ours between the producer's and what comes after,
// when the producer asked for the trace to be recorded.
func (d *door) trace(a *admit.Admitted) func() {
	parent := first(a.Msg.Header, event.HeaderTraceParent)
	if !event.TraceSampled(parent) {
		return func() {}
	}
	ctx := telemetry.Extract(context.Background(), parent, first(a.Msg.Header, event.HeaderTraceState))
	ctx, span := d.tel.Tracer.Start(ctx, telemetry.SpanAdmit, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		telemetry.System, telemetry.AttrTenant.String(string(d.tenant)), telemetry.AttrProducer.String(string(a.In.Producer)),
		telemetry.AttrType.String(string(a.In.Type)), telemetry.AttrEntity.String(string(a.In.Entity))))
	if tp, ts := telemetry.Inject(ctx); tp != "" {
		a.Msg.Header[event.HeaderTraceParent] = []string{tp}
		if ts != "" {
			a.Msg.Header[event.HeaderTraceState] = []string{ts}
		}
	}
	return func() { span.End() }
}

func first(h nats.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
