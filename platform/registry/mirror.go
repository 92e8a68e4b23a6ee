package registry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/fault"
	"midplane/internal/wait"
	"midplane/telemetry"
)

// Entry is one key of a bucket as this node has it.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
	// Seen is when it arrived here; for what was there before, when it was
	// stored. Liveness is measured by it, so that clocks need not agree.
	Seen time.Time
}

// Mirror keeps all of a bucket in memory. A watch alone can go quiet without
// an error, so the keys are compared with the bucket's from time to time and
// the watch is begun again when it fell behind.
type Mirror struct {
	kv      jetstream.KeyValue
	tel     telemetry.Telemetry
	compare time.Duration
	// replica returns the last sequence of this node's own replica of the
	// bucket, 0 when it has none; stalled is how often it is looked at.
	replica func() uint64
	stalled time.Duration

	mu       sync.Mutex
	entries  map[string]Entry
	keys     keyIndex // of entries
	revision uint64
	synced   bool
	changes  changeLog
	changed  chan struct{} // closed and replaced at every change
}

// NewMirror returns a mirror of kv; Run fills it. replica returns the last
// sequence of this node's own replica of the bucket, 0 when it has none; it may
// be nil. A watch is served by one node; when that node goes away it takes the
// client up to 20 seconds to notice, and the replica shows it in two.
func NewMirror(kv jetstream.KeyValue, replica func() uint64, tel telemetry.Telemetry) *Mirror {
	if replica == nil {
		replica = func() uint64 { return 0 }
	}
	return &Mirror{kv: kv, tel: tel, replica: replica, compare: 30 * time.Second, stalled: time.Second, entries: map[string]Entry{}, changed: make(chan struct{})}
}

// Run keeps the mirror equal to the bucket until ctx ends.
func (m *Mirror) Run(ctx context.Context) error {
	pause := wait.NewGrowing(100*time.Millisecond, 10*time.Second)
	for {
		began := time.Now()
		err := m.watch(ctx)
		if ctx.Err() != nil {
			return nil
		}
		m.tel.Log.Debug("watch begins again", "bucket", m.kv.Bucket(), "error", err)
		if time.Since(began) > time.Minute {
			pause.Reset()
		}
		if pause.For(ctx) != nil {
			return nil
		}
	}
}

var errFellBehind = errors.New("the watch fell behind the bucket")

func (m *Mirror) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := m.kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }()
	fresh := map[string]bool{} // what the initial values name; nil once they are through
	var newest uint64
	tick := time.NewTicker(m.compare)
	defer tick.Stop()
	look := time.NewTicker(m.stalled)
	defer look.Stop()
	var at *uint64 // where the mirror was at the last look; nil when it was not behind
	// Compared beside the watch: it has to go on for the mirror to catch up.
	var compared chan bool
	for {
		select {
		case <-ctx.Done():
			return nil
		case behind := <-compared:
			if compared = nil; behind {
				return errFellBehind
			}
		case e, ok := <-w.Updates():
			if !ok {
				return errors.New("the watch ended")
			}
			if e == nil {
				m.initialDone(fresh, newest)
				fresh = nil
				continue
			}
			newest = max(newest, e.Revision())
			if fresh != nil && e.Operation() == jetstream.KeyValuePut {
				fresh[e.Key()] = true
			}
			m.apply(e, fresh != nil)
		case <-look.C:
			rev, _ := m.Revision()
			switch {
			case rev >= m.replica():
				at = nil
			case at != nil && *at == rev:
				return errFellBehind // and did not move since
			default:
				at = &rev
			}
		case <-tick.C:
			if fresh == nil && compared == nil {
				compared = make(chan bool, 1)
				go func(answer chan<- bool) { answer <- m.behind(ctx) }(compared)
			}
		}
	}
}

func (m *Mirror) apply(e jetstream.KeyValueEntry, initial bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, had := m.entries[e.Key()]
	if had && old.Revision >= e.Revision() {
		return
	}
	if e.Operation() == jetstream.KeyValuePut {
		seen := time.Now()
		if initial && !had {
			seen = e.Created()
		}
		if !had {
			m.keys.add(e.Key())
		}
		m.entries[e.Key()] = Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision(), Seen: seen}
	} else if had {
		delete(m.entries, e.Key())
		m.keys.remove(e.Key())
	}
	m.changes.note(e.Key())
	m.revision = max(m.revision, e.Revision())
	if m.synced {
		m.announce()
	}
}

// initialDone drops what the bucket no longer has. A watch may be served by a
// replica that lags: what is newer than anything it delivered stays.
func (m *Mirror) initialDone(fresh map[string]bool, newest uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, e := range m.entries {
		if !fresh[k] && e.Revision <= newest {
			delete(m.entries, k)
			m.keys.remove(k)
			m.changes.note(k) // its deletion was not watched
		}
	}
	m.synced = true
	m.announce()
}

func (m *Mirror) announce() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// behind compares revisions, without values, and gives the watch a moment to
// catch up before it says yes.
func (m *Mirror) behind(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	w, err := m.kv.WatchAll(ctx, jetstream.MetaOnly())
	if err != nil {
		return false // asked again at the next tick
	}
	defer func() { _ = w.Stop() }()
	var newest uint64
	for {
		select {
		case <-ctx.Done():
			return false
		case e, ok := <-w.Updates():
			if !ok {
				return false
			}
			if e != nil {
				newest = max(newest, e.Revision())
				continue
			}
			wait, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			return m.Wait(wait, newest) != nil && ctx.Err() == nil
		}
	}
}

// Get returns one key.
func (m *Mirror) Get(key string) (Entry, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[key]
	return e, ok
}

// All calls f for every entry, in no order, under the mirror's lock.
func (m *Mirror) All(f func(Entry)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.entries {
		f(e)
	}
}

// Prefix calls f for every entry whose key begins with prefix, in order of the
// keys, under the mirror's lock.
func (m *Mirror) Prefix(prefix string, f func(Entry)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.keys.with(prefix) {
		f(m.entries[k])
	}
}

// Since returns the keys that were stored or deleted after the first n changes that
// this node learned of, each once, and how many there are by now. all means that
// not every one of them is remembered.
func (m *Mirror) Since(n uint64) (keys []string, upTo uint64, all bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys, all = m.changes.since(n)
	return keys, m.changes.count(), all
}

// Revision returns the newest revision seen, and a channel that closes at the
// next change.
func (m *Mirror) Revision() (uint64, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision, m.changed
}

// Synced reports whether the initial values are through.
func (m *Mirror) Synced() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.synced
}

// Wait blocks until the mirror is at revision rev and in sync; Unavailable
// when ctx ends first.
func (m *Mirror) Wait(ctx context.Context, rev uint64) error {
	for {
		m.mu.Lock()
		ok, changed := m.synced && m.revision >= rev, m.changed
		m.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, ctx.Err(), "the node's copy of %s is not at revision %d yet", m.kv.Bucket(), rev)
		}
	}
}
