package ingress

import (
	"sync"
	"sync/atomic"
	"time"

	"midplane/api"
	"midplane/platform/ingress/admit"
	"midplane/platform/registry"
)

// How often this node's own store is looked at: seldom while there is room.
const (
	storeEvery = 200 * time.Millisecond
	storeOften = 10 * time.Millisecond
)

// stores know whether a node's store is nearly full. At its limit the server's streams
// step down, those of the control plane and the server's own records too, so the
// doors refuse everything of tenants before it. Every node counts: a replica that
// cannot store is as bad as a leader that cannot.
type stores struct {
	here func() api.Store
	away atomic.Pointer[admit.Refusal] // because of what the nodes have reported

	mu      sync.Mutex
	at      time.Time
	refusal *admit.Refusal
	tight   bool
}

// others notes what nodes have reported.
func (s *stores) others(nodes []registry.Presence) {
	var found *admit.Refusal
	for _, n := range nodes {
		if n.Store != nil && n.Store.Full() {
			found = nodeFull("node "+n.Name, *n.Store)
		}
	}
	s.away.Store(found)
}

// full returns the refusal of everything, nil while there is room.
func (s *stores) full(now time.Time) *admit.Refusal {
	if r := s.away.Load(); r != nil {
		return r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	every := storeEvery
	if s.tight {
		every = storeOften
	}
	if now.Sub(s.at) < every {
		return s.refusal
	}
	st := s.here()
	s.at, s.refusal, s.tight = now, nil, st.Above(api.StoreTight/100.)
	if st.Full() {
		s.refusal = nodeFull("this node", st)
	}
	return s.refusal
}

func nodeFull(which string, s api.Store) *admit.Refusal {
	return admit.Refuse(admit.CodeNodeFull, "the store of %s holds %s of %s (--max-store), and from %d %% on it takes nothing from tenants", which, mebibytes(s.Used), mebibytes(s.Limit), api.StoreFull)
}
