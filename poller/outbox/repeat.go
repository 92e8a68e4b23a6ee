package outbox

import (
	"bytes"
	"hash/fnv"
	"sync"
	"time"

	"midplane/event"
)

// resendEvery is after how long a state is sent again although it is unchanged:
// a loss in a stream that no program noticed is mended by then. Each state has a
// time of its own within it.
const resendEvery = 6 * time.Hour

// repeats knows which states need not be sent again: those that were sent since
// the outbox was opened and have not changed. Nothing of it is kept on disk, so
// that after every start everything is sent once.
type repeats struct {
	unchanged func(prev, next event.Event) bool // nil: every state is sent
	timeless  func(t event.Type) bool           // nil: no type is

	mu      sync.Mutex
	on      bool
	devices map[event.Entity]map[stateKey]sentState
}

func newRepeats(cfg Config) *repeats {
	return &repeats{unchanged: cfg.Unchanged, timeless: cfg.Timeless, devices: map[event.Entity]map[stateKey]sentState{}}
}

// sentState is the newest state of its entity and type.
type sentState struct {
	seq    uint64
	digest event.Digest
	at     time.Time
	prev   *event.Event // it, of a state whose readings differ each time; see skip
}

// skip reports whether e need not be sent: it says what prev said, and prev was
// sent, or is planned to be in this transaction.
func (r *repeats) skip(k stateKey, prev *event.Event, planned bool, e event.Event) bool {
	if r.unchanged == nil || prev == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sent, ok := r.devices[k.entity.Device()][k]
	last := sent.at
	if planned {
		last, ok = prev.Time, true
	}
	if !r.on || !ok || k.due(last, e.Time) || !r.unchanged(*prev, e) {
		return false
	}
	if !planned && sent.prev == nil && !bytes.Equal(prev.Data, e.Data) {
		sent.prev = prev // it will be compared with again and again: it is not read each time
		r.devices[k.entity.Device()][k] = sent
	}
	return true
}

// previous returns the state of k that was sent last, nil when it is not known
// without reading it.
func (r *repeats) previous(k stateKey) *event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.devices[k.entity.Device()][k].prev
}

// same reports whether e is byte by byte the state of k that was sent last, of a
// type from which nothing follows by itself: the last state need not be read. plans
// have states that come before it.
func (r *repeats) same(k stateKey, e event.Event, plans ...map[stateKey]*event.Event) bool {
	if r.unchanged == nil || r.timeless == nil || !r.timeless(k.typ) {
		return false
	}
	for _, m := range plans {
		if m[k] != nil {
			return false
		}
	}
	r.mu.Lock()
	sent, ok := r.devices[k.entity.Device()][k]
	on := r.on
	r.mu.Unlock()
	return on && ok && sent.digest == event.DigestOf(k.entity, k.typ, e.Data) && !k.due(sent.at, e.Time)
}

// due reports whether the time at which k is sent again lies between two times.
func (k stateKey) due(last, now time.Time) bool {
	h := fnv.New64a()
	_, _ = h.Write([]byte(k.entity + "\n" + event.Entity(k.typ))) // a hash takes everything
	phase := time.Duration(h.Sum64() % uint64(resendEvery))
	turn := func(t time.Time) int64 { return (t.UnixNano() + int64(phase)) / int64(resendEvery) }
	return turn(now) != turn(last)
}

// put notes that e was committed, and waits to be sent.
func (r *repeats) put(e *event.Event) {
	if e.Kind != event.KindState || !event.InDigest(e.Type) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on {
		return
	}
	device := e.Entity.Device()
	if r.devices[device] == nil {
		r.devices[device] = map[stateKey]sentState{}
	}
	r.devices[device][stateKey{e.Entity, e.Type}] = sentState{seq: e.Sequence, digest: event.DigestOf(e.Entity, e.Type, e.Data), at: e.Time}
}

// lost notes that the state with a sequence will not arrive.
func (r *repeats) lost(k stateKey, seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if states := r.devices[k.entity.Device()]; states[k].seq == seq {
		delete(states, k)
	}
}

// SetChangesOnly has states that say what the last one said left out (true), or
// every state sent (false, as after Open). Either way all are sent once more.
func (o *Outbox) SetChangesOnly(on bool) {
	r := o.queue.repeats
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on != on {
		r.on = on
		clear(r.devices)
	}
}

// SendAgain has the next state of everything about these devices sent, changed or
// not; without devices, of all.
func (o *Outbox) SendAgain(devices ...event.Entity) {
	r := o.queue.repeats
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(devices) == 0 {
		clear(r.devices)
	}
	for _, d := range devices {
		delete(r.devices, d)
	}
}

// Current returns what of a device and its parts was sent since Open and has not
// changed: the sequence of the oldest state, how many there are, and their digest.
func (o *Outbox) Current(device event.Entity) (from uint64, states int, digest event.Digest) {
	r := o.queue.repeats
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.devices[device] {
		if from == 0 || s.seq < from {
			from = s.seq
		}
		states++
		digest = digest.Add(s.digest)
	}
	return from, states, digest
}
