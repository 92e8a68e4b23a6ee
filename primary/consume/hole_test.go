package consume

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/primary/fold"
	"midplane/primary/store/sqlite"
	"midplane/streams"
)

// judge is a control plane that is asked only whether messages are lost.
type judge struct {
	mu     sync.Mutex
	answer api.MissingAnswer
	err    error
	asked  []api.MissingRequest
}

func (j *judge) say(a api.MissingAnswer, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.answer, j.err = a, err
}

func (j *judge) Do(_ context.Context, verb string, req, resp any) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if verb != api.CoreMissing {
		return fault.New(fault.Invalid, "asked for %s", verb)
	}
	j.asked = append(j.asked, req.(api.MissingRequest))
	*resp.(*api.MissingAnswer) = j.answer
	return j.err
}

func found(t *testing.T, db *sqlite.DB) (ids []string) {
	t.Helper()
	for _, f := range ok(db.Writer.Unreported(context.Background(), 100))(t) {
		ids = append(ids, f.ID)
	}
	return ids
}

// A hole is passed once no replica has what is missing, and until then the reader
// stands before it, says so, and raises one alarm.
func TestHoleIsWaitedAt(t *testing.T) {
	e := newEvents(t)
	for range 6 {
		e.put()
	}
	if err := e.stream().DeleteMsg(context.Background(), 4); err != nil {
		t.Fatal(err)
	}
	j := &judge{}
	b, db := newBatch(t, e, j)
	b.r.t.format.Store(api.CoreWithMissing)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	running := make(chan error, 1)
	go func() { running <- b.r.run(ctx, e.js.Conn(), e.js) }()
	defer func() { cancel(); <-running }()
	until := func(what string, f func(readerStatus) bool) readerStatus {
		t.Helper()
		var st readerStatus
		testwait.Until(t, what, func() error {
			if st = b.r.status(); !f(st) {
				return fmt.Errorf("%+v %+v", st, st.waiting)
			}
			return nil
		})
		return st
	}
	// Not even when the control plane does not know.
	j.say(api.MissingAnswer{}, fault.New(fault.Unavailable, "no answer"))
	until("the reader says that it cannot know", func(st readerStatus) bool { return st.problem != "" })
	j.say(api.MissingAnswer{Why: "n3 may have them", Nodes: []string{"n3"}}, nil)
	b.r.reconsider()
	st := until("the reader waits", func(st readerStatus) bool { return st.waiting != nil })
	if st.waiting.From != 4 || st.waiting.To != 4 || st.waiting.Why != "n3 may have them" || st.cursor.Seq != 3 {
		t.Errorf("%+v at %d", st.waiting, st.cursor.Seq)
	}
	b.r.reconsider() // the same again raises no other alarm
	asked := func() int { j.mu.Lock(); defer j.mu.Unlock(); return len(j.asked) }
	n := asked()
	testwait.True(t, "it asks again", func() bool { return asked() > n })
	if diff := cmp.Diff([]string{"waits/EVENTS/1/4-4"}, found(t, db)); diff != "" {
		t.Error(diff)
	}
	j.say(api.MissingAnswer{Lost: true}, nil)
	b.r.reconsider()
	until("the reader goes on", func(st readerStatus) bool { return st.cursor.Seq == 6 && st.waiting == nil && st.problem == "" })
	if diff := cmp.Diff([]string{"waits/EVENTS/1/4-4", "hole/EVENTS/1/4-4", "gap/syd-01/1/EVENTS/4-4"}, found(t, db)); diff != "" {
		t.Error(diff)
	}
}

// What a stream begins behind is asked about too: also by a primary that is new.
func TestLostBeginningIsWaitedAt(t *testing.T) {
	e := newEvents(t)
	for range 6 {
		e.put()
	}
	e.purge(4)
	j := &judge{answer: api.MissingAnswer{Why: "n3 may have them", Nodes: []string{"n3"}}}
	b, _ := newBatch(t, e, j)
	ctx := context.Background()
	b.r.t.format.Store(api.CoreWithMissing)
	var w *waits
	if _, err := b.r.begin(ctx, e.js.Conn(), e.js, 1); !errors.As(err, &w) || w.From != 1 || w.To != 3 {
		t.Fatalf("a stream without its first messages: %v", err)
	}
	if diff := cmp.Diff([]api.MissingRequest{{Tenant: "acme", Stream: event.StreamEvents, From: 1, To: 3, Begins: true}}, j.asked); diff != "" {
		t.Error(diff)
	}
	j.say(api.MissingAnswer{Lost: true}, nil)
	if c, err := b.r.begin(ctx, e.js.Conn(), e.js, 1); err != nil || c.Seq != 3 {
		t.Errorf("begins at %+v: %v", c, err)
	}
}

// Nodes of an older version do not know, and are not asked.
func TestOlderNodesAreNotAsked(t *testing.T) {
	e := newEvents(t)
	j := &judge{err: fault.New(fault.Unavailable, "no responders")}
	b, _ := newBatch(t, e, j)
	b.r.t.format.Store(api.CoreWithMissing - 1)
	if err := b.r.lost(context.Background(), 1, fold.Range{From: 1, To: 9}, false); err != nil || len(j.asked) > 0 {
		t.Errorf("asked %v: %v", j.asked, err)
	}
}

// A damaged replica lacks the rest of a block: thousands in a row. They become one
// alarm, and are read from the leader about as fast as from a replica.
func TestFillMany(t *testing.T) {
	const n = 20_000
	e := newEvents(t)
	for range n {
		e.put()
	}
	ctx := context.Background()
	b, db := newBatch(t, e, nil)
	b.node = "n2"
	began := time.Now()
	err := streams.ReadAll(ctx, e.js, streams.ReadConfig{Stream: event.StreamEvents, From: n}, func(m jetstream.Msg, at *jetstream.MsgMetadata) error {
		return b.add(ctx, delivery{m, at})
	})
	if err == nil {
		err = b.commit(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f messages/s filled", n/time.Since(began).Seconds())
	if st := b.r.status(); st.cursor.Seq != n {
		t.Errorf("at %d", st.cursor.Seq)
	}
	if diff := cmp.Diff([]string{"replica/EVENTS/1/1-19999"}, found(t, db)); diff != "" {
		t.Error(diff)
	}
}
