package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// feed gives messages their places in the streams of a tenant and applies them.
type feed struct {
	t   *testing.T
	s   store.Folder
	seq map[string]uint64
}

func newFeed(t *testing.T, s store.Folder) *feed { return &feed{t, s, map[string]uint64{}} }

func (f *feed) put(tenant event.Tenant, kind event.Kind, entity event.Entity, typ event.Type, after time.Duration, payload any) fold.Result {
	f.t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		f.t.Fatal(err)
	}
	f.seq[string(tenant)+kind.Stream()]++
	m := fold.Message{Incarnation: 1, Event: event.Event{
		Kind: kind, Site: "syd", Entity: entity, Type: typ, Producer: "p1", Data: data, Time: t0.Add(after), Received: t0.Add(after),
		Stream: kind.Stream(), StreamSeq: f.seq[string(tenant)+kind.Stream()],
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
	}}
	if kind == event.KindEvent {
		m.Severity, m.ID = event.Warning, fmt.Sprintf("id-%d", m.StreamSeq)
	}
	r, err := f.s.Apply(ctx, tenant, []fold.Message{m})
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *feed) state(entity event.Entity, typ event.Type, after time.Duration, payload any) {
	f.t.Helper()
	f.put("acme", event.KindState, entity, typ, after, payload)
}

// many applies n states of acme in one batch.
func (f *feed) many(n int, make func(i int) (event.Entity, event.Type, any)) {
	f.t.Helper()
	var msgs []fold.Message
	for i := range n {
		entity, typ, payload := make(i)
		data, err := json.Marshal(payload)
		if err != nil {
			f.t.Fatal(err)
		}
		f.seq["acme"+event.StreamState]++
		msgs = append(msgs, fold.Message{Incarnation: 1, Event: event.Event{Kind: event.KindState, Site: "syd", Entity: entity, Type: typ, Producer: "p1",
			Data: data, Time: t0, Received: t0, Stream: event.StreamState, StreamSeq: f.seq["acme"+event.StreamState]}})
	}
	if _, err := f.s.Apply(ctx, "acme", msgs); err != nil {
		f.t.Fatal(err)
	}
}

// Events makes n events of a stream, the first at sequence from+1, as eight
// pollers write them: a ledger each, 500 devices.
func Events(from, n int) []fold.Message {
	msgs := make([]fold.Message, n)
	for i := range msgs {
		seq := from + i
		poller := seq % 8
		at := t0.Add(time.Duration(seq) * time.Millisecond)
		pseq := uint64(seq/8 + 1)
		msgs[i] = fold.Message{Incarnation: 1, Event: event.Event{
			Kind: event.KindEvent, Severity: event.Warning, Entity: event.Entity(fmt.Sprintf("r%d/if/%d", seq%500, seq%4)), Site: "syd",
			Type: event.TypeInterfaceChanged, ID: fmt.Sprintf("p%d/1/EVENTS/%d", poller, pseq), Time: at, Received: at,
			Producer: event.Producer(fmt.Sprintf("p%d", poller)), Epoch: 1, Sequence: pseq, Low: pseq - 1,
			TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
			Data: json.RawMessage(fmt.Sprintf(`{"device":"r%d","name":"eth%d","from":"up","to":"down","message":"interface eth%d of r%d went down, %064d"}`,
				seq%500, seq%4, seq%4, seq%500, seq)),
			Stream: event.StreamEvents, StreamSeq: uint64(seq + 1),
		}}
	}
	return msgs
}

// mixed makes n messages of three streams, each stream's in its order.
func mixed(n int) []fold.Message {
	msgs := Events(0, n)
	for i := range msgs { // every third is a state, every fifth a metric
		m := &msgs[i]
		switch {
		case i%3 == 1:
			m.Kind, m.Stream, m.Type, m.Severity = event.KindState, event.StreamState, event.TypeReachability, ""
			m.Entity = m.Entity.Device()
			m.Data, _ = json.Marshal(event.Reachability{Device: m.Entity, Status: []string{"up", "down"}[i%2], Method: "ping"})
		case i%5 == 0:
			m.Kind, m.Stream, m.Type, m.Severity = event.KindMetric, event.StreamMetrics, event.TypePing, ""
			m.Data, _ = json.Marshal(event.Ping{RTT: float64(i)})
		}
		m.Low = 0 // the three streams share sequences here, so low would not be true
	}
	seqs := map[string]uint64{}
	for i := range msgs {
		seqs[msgs[i].Stream]++
		msgs[i].StreamSeq = seqs[msgs[i].Stream]
	}
	return msgs
}
