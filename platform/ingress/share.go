package ingress

import (
	"context"
	"fmt"
	"sync"
	"time"

	"midplane/event"
	"midplane/platform/ingress/admit"
	"midplane/streams"
)

// headroomFrom is how full STATE may be before it takes updates only: the last
// fifth of its share is kept for those.
const headroomFrom = 0.8

// How often streams are measured: what was measured counts for a while, and a share
// that seems used up is measured again before anything is refused. Where this node
// has to ask another, that takes time and is done less often.
const (
	measureEvery = time.Second
	measureAgain = 2 * time.Millisecond
	askAgain     = 250 * time.Millisecond
	askWithin    = 500 * time.Millisecond
)

// Measured is how many bytes each stream of a tenant holds, by its name.
type Measured struct {
	Bytes map[string]uint64
	Asked bool // another node, for some of them
}

// shares keep what each stream of a tenant may hold. What this door has let through
// since the streams were measured counts as well, as often as there are nodes: the
// others' doors may have let through as much. What was in flight when they were
// measured does not; streams.Reserve is for that.
type shares struct {
	measure func(ctx context.Context) (Measured, error)
	known   func(ctx context.Context, storedSubject string) (bool, error)

	mu       sync.Mutex
	limit    [4]uint64 // by kind
	nodes    uint64    // with a door
	used     [4]uint64 // as last measured
	since    [4]uint64 // let through here since then
	at       time.Time // when that was
	asked    bool      // another node, then
	silent   [4]bool   // could not be measured then
	subjects subjects
}

// set notes what the streams may hold by the tenant's quota, and how many nodes have
// a door.
func (s *shares) set(l streams.Limits, nodes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, k := range event.Kinds {
		s.limit[i] = uint64(l.Share(k))
	}
	s.nodes = uint64(max(nodes, 1))
}

// take lets a message of size bytes through to the stream of kind k, or refuses it.
// storedAs is called for a state when STATE takes updates only.
func (s *shares) take(now time.Time, k event.Kind, size int, storedAs func() string) *admit.Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.at) > measureEvery {
		s.look(now)
	}
	i := kindIndex(k)
	fresh := s.limit[i]
	if k == event.KindState {
		fresh = uint64(headroomFrom * float64(fresh))
	}
	if s.fits(now, i, size, fresh) {
		if k == event.KindState {
			s.subjects.seen = nil // what is purged is new when it comes again
		}
	} else {
		switch {
		case k != event.KindState:
			return s.full(k)
		case !s.subjects.has(s.known, storedAs(), now):
			return admit.Refuse(admit.CodeStreamFull, "stream STATE is above 80 %% of its share of quota.storage (%s) and takes updates of known entities only", mebibytes(s.limit[i]))
		case !s.updates(now, i):
			return s.full(k)
		}
	}
	s.since[i] += uint64(size)
	return nil
}

func (s *shares) full(k event.Kind) *admit.Refusal {
	return admit.Refuse(admit.CodeStreamFull, "stream %s is full: what it holds may not be dropped yet, and its share of quota.storage is %s", k.Stream(), mebibytes(s.limit[kindIndex(k)]))
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// fits reports whether a message fits below limit. Before the answer is no, the
// streams are measured, unless that was done just now and nothing was let through
// since.
func (s *shares) fits(now time.Time, i, size int, limit uint64) bool {
	below := func() bool { return s.used[i]+(s.since[i]+uint64(size))*s.nodes <= limit }
	again := measureAgain
	switch {
	case s.since[i] > 0 && !s.silent[i]:
		// Any time: the others' doors may have let nothing through. It is not often,
		// also where another node is asked: each time something was let through.
		again = -1
	case s.asked:
		again = askAgain
	}
	if !below() && now.Sub(s.at) > again {
		s.look(now)
	}
	return below()
}

// updates reports whether states that are known may be replaced. What was let through
// does not count: it takes the place of what it replaces.
func (s *shares) updates(now time.Time, i int) bool {
	again := measureAgain
	if s.asked {
		again = askAgain
	}
	if s.used[i] > s.limit[i] && now.Sub(s.at) > again {
		s.look(now)
	}
	return s.used[i] <= s.limit[i]
}

// look measures the streams. What cannot be measured stays as it was.
func (s *shares) look(now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	m, err := s.measure(ctx)
	s.at, s.asked = now, m.Asked || err != nil
	for i, k := range event.Kinds {
		n, ok := m.Bytes[k.Stream()]
		if s.silent[i] = !ok; ok {
			s.used[i], s.since[i] = n, 0
		}
	}
}

// subjects remember of which states STATE has one.
type subjects struct {
	seen map[string]bool
	// For a second from since on: subjects that it does not hold, and whether it did
	// not answer. Asking holds up the door.
	absent map[string]bool
	silent bool
	since  time.Time
}

// has reports whether STATE holds a subject. When it does not answer, the subject is
// taken for new.
func (s *subjects) has(known func(context.Context, string) (bool, error), subject string, now time.Time) bool {
	if now.Sub(s.since) > measureEvery {
		s.absent, s.silent, s.since = nil, false, now
	}
	if s.seen[subject] {
		return true
	}
	if s.silent || s.absent[subject] {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	ok, err := known(ctx, subject)
	switch {
	case err != nil:
		s.silent = true
	case ok:
		remember(&s.seen, subject)
	default:
		remember(&s.absent, subject)
	}
	return ok && err == nil
}

func remember(set *map[string]bool, subject string) {
	if *set == nil {
		*set = map[string]bool{}
	}
	(*set)[subject] = true
}
