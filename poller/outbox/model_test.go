package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"midplane/event"
	"midplane/fault"
	"midplane/telemetry"
)

// model is what a poller's readers may rely on, kept beside a real outbox.
type model struct {
	cfg  Config
	o    *Outbox
	put  [lanes]map[uint64]string // what was put, by sequence: entity and payload
	last [lanes]uint64
	held [lanes]map[uint64]bool // acknowledged: a reader has it
	gone [lanes]map[uint64]bool // in a tombstone of an acknowledged ledger message
	fly  []event.Event
	n    int

	newest map[stateKey]uint64 // of what was stored
	twice  [lanes]bool         // a tombstone may be published twice
	later  time.Duration       // added to the clock: all that waits is the backlog
}

func newModel(t *rapid.T, path string) *model {
	m := &model{cfg: Config{Path: path, Producer: producer, MaxBytes: minBytes, BallastBytes: -1, LedgerAfter: 1, Window: 20}}
	m.newest = map[stateKey]uint64{}
	for l := range lanes {
		m.put[l], m.held[l], m.gone[l] = map[uint64]string{}, map[uint64]bool{}, map[uint64]bool{}
	}
	m.open(t)
	return m
}

func (m *model) open(t *rapid.T) {
	var err error
	if m.o, err = Open(context.Background(), m.cfg, telemetry.Nop()); err != nil {
		t.Fatal(err)
	}
	m.fly = nil
}

// commit does what Run does, at a moment of the test's choice, and learns the
// sequences that were given.
func (m *model) commit(t *rapid.T, events []event.Event, ledgers bool) {
	var batch []*request
	if len(events) > 0 {
		r := &request{events: events, done: make(chan error, 1)}
		for _, e := range events {
			r.bytes += len(e.Data)
		}
		batch = append(batch, r)
	}
	before := m.last
	if err := m.o.writer.commit(batch, ledgers); err != nil {
		t.Fatal(err)
	}
	if len(batch) > 0 {
		switch err := <-batch[0].done; {
		case fault.Is(err, fault.Exhausted):
			events = nil
		case err != nil:
			t.Fatal(err)
		}
	}
	for _, e := range events {
		l, _ := laneOf(e.Kind)
		m.last[l]++
		m.put[l][m.last[l]] = string(e.Entity) + string(e.Data)
	}
	for l := range lanes { // the rest are ledger messages, one a lane at most
		if m.o.writer.last[l] > m.last[l] && ledgers {
			m.last[l]++
		}
		if m.o.writer.last[l] != m.last[l] {
			t.Fatalf("%s went from %d to %d, want %d", kinds[l].Stream(), before[l], m.o.writer.last[l], m.last[l])
		}
	}
}

func (m *model) take(t *rapid.T, most int) {
	events, missing, _ := m.o.queue.take(time.Now().Add(m.later), most)
	if err := m.o.db.payloads(context.Background(), events, missing); err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		for _, f := range m.fly {
			if f.Entity == e.Entity {
				t.Fatalf("%s and %s are on their way at once, both of %s", f.ID, e.ID, e.Entity)
			}
		}
		l, _ := laneOf(e.Kind)
		if want := fmt.Sprintf("%s/%d/%s/%d", producer, m.o.id.epoch, e.Kind.Stream(), e.Sequence); e.ID != want || e.MsgID != want {
			t.Fatalf("id %q, want %q", e.ID, want)
		}
		if e.Entity != m.o.id.ledger && m.put[l][e.Sequence] != string(e.Entity)+string(e.Data) {
			t.Fatalf("%s is %q, was put as %q", e.ID, string(e.Entity)+string(e.Data), m.put[l][e.Sequence])
		}
		for r := m.o.queue.ix.entities[e.Entity].head[l]; r.seq < e.Sequence; r = r.enext {
			// A live metric overtakes those of the backlog, and those that were
			// postponed or given up; a live state those of other types.
			if e.Kind == event.KindState && r.typ != e.Type || e.Kind == event.KindMetric && r.dropped {
				continue
			}
			if e.Kind != event.KindMetric || r.fresh && r.retry == nil && m.o.queue.ix.isFresh(r) {
				t.Fatalf("%s overtakes %d of the same entity", e.ID, r.seq)
			}
		}
		m.checkLow(t, l, e.Low)
		if e.Low >= e.Sequence {
			t.Fatalf("%s has low %d", e.ID, e.Low)
		}
		m.fly = append(m.fly, e)
	}
}

// checkLow: all of 1…low must be with the readers, or in a published tombstone.
func (m *model) checkLow(t *rapid.T, l lane, low uint64) {
	for s := uint64(1); s <= low; s++ {
		if !m.held[l][s] && !m.gone[l][s] {
			t.Fatalf("%s: low %d, but %d is neither acknowledged nor in a tombstone", kinds[l].Stream(), low, s)
		}
	}
}

func (m *model) pop(t *rapid.T) *event.Event {
	if len(m.fly) == 0 {
		m.take(t, 3)
	}
	if len(m.fly) == 0 {
		return nil
	}
	i := rapid.IntRange(0, len(m.fly)-1).Draw(t, "which")
	e := m.fly[i]
	m.fly = append(m.fly[:i:i], m.fly[i+1:]...)
	return &e
}

// without answers a message that is on its way other than by an ack.
func (m *model) without(t *rapid.T, answer func(*event.Event)) {
	if e := m.pop(t); e != nil {
		if l, _ := laneOf(e.Kind); e.Entity == m.o.id.ledger && m.held[l][e.Sequence] {
			m.twice[l] = true // it was acknowledged, that was lost, and now it may be refused
		}
		answer(e)
	}
}

// store is what a stream does with e: it drops what it has already. STATE must
// never get an older state of an entity and type behind a newer one.
func (m *model) store(t *rapid.T, e *event.Event) {
	l, _ := laneOf(e.Kind)
	again := m.held[l][e.Sequence]
	m.held[l][e.Sequence] = true
	if k := (stateKey{e.Entity, e.Type}); e.Kind == event.KindState && !again {
		if e.Sequence < m.newest[k] {
			t.Fatalf("%s is stored behind %d of the same entity and type", e.ID, m.newest[k])
		}
		m.newest[k] = e.Sequence
	}
	if e.Entity == m.o.id.ledger && !again {
		var d event.Ledger
		if err := json.Unmarshal(e.Data, &d); err != nil || d.Tombstones == nil || d.Stream != e.Kind.Stream() || d.Epoch != m.o.id.epoch {
			t.Fatalf("ledger %s: %v", e.Data, err)
		}
		for _, tomb := range d.Tombstones {
			for s := tomb.From; s <= tomb.To; s++ {
				if m.gone[l][s] && !m.twice[l] {
					t.Fatalf("%s %d is in two tombstones", d.Stream, s)
				}
				m.gone[l][s] = true
			}
		}
		m.checkLow(t, l, d.Low)
	}
}

func (m *model) ack(t *rapid.T, e *event.Event) {
	if e == nil {
		return
	}
	m.store(t, e)
	m.o.Ack(e)
}

func (m *model) step(t *rapid.T) map[string]func(*rapid.T) {
	entity := rapid.SampledFrom([]string{"a", "b", "c", "d/if/1", "e"})
	return map[string]func(*rapid.T){
		"put": func(t *rapid.T) {
			var events []event.Event
			for range rapid.IntRange(1, 8).Draw(t, "count") {
				m.n++
				data := fmt.Sprintf(`"%d %s"`, m.n, strings.Repeat("x", rapid.SampledFrom([]int{0, 100, 3000, 7500}).Draw(t, "size")))
				make := rapid.SampledFrom([]func(string, string) event.Event{state, happened, sample}).Draw(t, "kind")
				e := make(entity.Draw(t, "entity"), data)
				if e.Kind == event.KindState && rapid.Bool().Draw(t, "another type") {
					e.Type = "net.test.other.v1"
				}
				events = append(events, e)
			}
			m.commit(t, events, false)
		},
		"take":     func(t *rapid.T) { m.take(t, rapid.IntRange(1, 10).Draw(t, "most")) },
		"ack":      func(t *rapid.T) { m.ack(t, m.pop(t)) },
		"ack more": func(t *rapid.T) { m.ack(t, m.pop(t)) },
		"postpone": func(t *rapid.T) { m.without(t, m.o.Postpone) },
		"full": func(t *rapid.T) {
			q := m.o.queue
			q.thinAbove, q.thinned.next, q.ix.lanes[metrics].refused = 0, time.Time{}, breakAfter
			m.without(t, m.o.Full)
		},
		"unanswered": func(t *rapid.T) {
			m.without(t, func(e *event.Event) {
				if rapid.Bool().Draw(t, "stored") {
					m.store(t, e) // and the answer was lost
				}
				m.o.Unanswered(e)
				m.o.Return(*e)
			})
		},
		"return": func(t *rapid.T) { m.without(t, func(e *event.Event) { m.o.Return(*e) }) },
		"outage": func(*rapid.T) { m.later = time.Hour },
		"online": func(*rapid.T) { m.later = 0 },
		"refuse": func(t *rapid.T) { m.without(t, m.o.Refuse) },
		"flush":  func(t *rapid.T) { m.commit(t, nil, false) },
		"ledger": func(t *rapid.T) { m.commit(t, nil, true) },
		"failing disk": func(t *rapid.T) {
			m.o.db.inject = func() error { return os.ErrClosed }
			r := &request{events: []event.Event{happened("a", "0")}, done: make(chan error, 1)}
			if err := m.o.writer.commit([]*request{r}, true); err != nil {
				t.Fatal(err)
			}
			if err := <-r.done; err == nil {
				t.Fatal("a commit that failed was promised")
			}
			m.o.db.inject = nil
		},
		"stop": func(t *rapid.T) {
			m.commit(t, nil, false)
			m.crash(t)
		},
		"crash": func(t *rapid.T) { m.crash(t) },
		"": func(t *rapid.T) {
			for l := range lanes {
				m.checkLow(t, lane(l), m.o.queue.low(lane(l)))
			}
		},
	}
}

// crash ends it without a word and opens it again.
func (m *model) crash(t *rapid.T) {
	if err := m.o.Close(); err != nil {
		t.Fatal(err)
	}
	last := m.o.writer.last
	m.open(t)
	if m.o.writer.last != last {
		t.Fatalf("sequences were %d, are %d", last, m.o.writer.last)
	}
}

// drain sends everything, refusing nothing, and then every sequence must be
// with the readers or in a tombstone.
func (m *model) drain(t *rapid.T) {
	for _, e := range m.fly {
		m.ack(t, &e)
	}
	m.fly, m.later = nil, time.Hour // all delays are over
	quiet := 0
	for i := 0; quiet < 3; i++ {
		if i > 10_000 {
			t.Fatal("ledger messages without end")
		}
		for l := range m.o.queue.ledgers {
			m.o.queue.ledgers[l].next = time.Time{} // time passes
		}
		quiet++
		m.commit(t, nil, true)
		for m.take(t, 100); len(m.fly) > 0; m.take(t, 100) {
			quiet = 0
			fly := m.fly
			m.fly = nil
			for _, e := range fly {
				m.ack(t, &e)
			}
		}
	}
	for l := range lanes {
		for s := uint64(1); s <= m.last[l]; s++ {
			if !m.held[l][s] && !m.gone[l][s] {
				t.Fatalf("%s %d of %d is lost without a tombstone", kinds[l].Stream(), s, m.last[l])
			}
		}
		if low := m.o.queue.low(lane(l)); low != m.last[l] {
			t.Fatalf("%s: low %d when all of %d are settled", kinds[l].Stream(), low, m.last[l])
		}
	}
	if s := m.o.Stats(); s.Depth != 0 || len(m.o.queue.ix.entities) != 0 || m.o.queue.ix.fresh != 0 {
		t.Fatalf("not empty: %+v, %d entities, %d bytes", s, len(m.o.queue.ix.entities), m.o.queue.ix.fresh)
	}
}

// TestModel drives a small outbox through random puts, answers, full disks,
// stops and crashes.
func TestModel(t *testing.T) {
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		m := newModel(t, filepath.Join(dir, fmt.Sprint(n), "o.db"))
		defer func() {
			_ = m.o.Close()
			_ = os.RemoveAll(filepath.Join(dir, fmt.Sprint(n)))
		}()
		t.Repeat(m.step(t))
		m.drain(t)
	})
}
