package status

import (
	"context"
	"slices"
	"sync"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/node"
	"midplane/platform/registry"
)

// How often a node looks at its own replicas, how long they may be behind after
// they have been whole, and how many of them are named. An election makes replicas
// look behind for up to 9 seconds.
const (
	replicasEvery  = 2 * time.Second
	behindFor      = 10 * time.Second
	replicasToName = 5
)

// ReplicaServer is what Replicas ask their own node's server.
type ReplicaServer interface {
	Behind() ([]node.Lagging, error)
	Leading() int
}

// Replicas knows whether this node's own replicas are whole.
type Replicas struct {
	server ReplicaServer
	name   func(accountKey string) string

	mu     sync.Mutex
	whole  time.Time // when all were last; zero: not since the start
	behind *api.BehindReplicas
	leads  int
	last   []node.Lagging // at the last look
}

// NewReplicas returns Replicas; Run looks. control is the account CONTROL's key.
func NewReplicas(server ReplicaServer, reg *registry.Registry, control string) *Replicas {
	return &Replicas{server: server, behind: &api.BehindReplicas{Some: []string{}, Why: "its replicas have not been looked at yet"}, name: func(key string) string {
		if key == control {
			return "CONTROL"
		}
		if t := reg.View().ByKey[key]; t != nil {
			return string(t.ID)
		}
		return key
	}}
}

// Run looks until ctx ends.
func (r *Replicas) Run(ctx context.Context) error {
	tick := time.NewTicker(replicasEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.Look()
		}
	}
}

// Look looks at once: a node that has just started must not seem whole because
// nobody has looked.
func (r *Replicas) Look() { r.look(time.Now()) }

// look keeps what is behind now.
func (r *Replicas) look(now time.Time) {
	list, err := r.server.Behind()
	leads := r.server.Leading()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leads, r.behind, r.last = leads, nil, list
	switch {
	case err == nil && len(list) == 0:
		r.whole = now
	case !r.whole.IsZero() && now.Sub(r.whole) < behindFor:
	case err != nil:
		r.behind = &api.BehindReplicas{Some: []string{}, Why: err.Error()}
	default:
		r.behind = r.named(list)
	}
}

func (r *Replicas) named(list []node.Lagging) *api.BehindReplicas {
	out := &api.BehindReplicas{Count: len(list), Some: []string{}}
	for _, l := range list {
		name := r.name(l.Account)
		if l.Stream != "" {
			name += "/" + l.Stream
		}
		out.Some = append(out.Some, name)
	}
	slices.Sort(out.Some)
	out.Some = out.Some[:min(len(out.Some), replicasToName)]
	return out
}

// Behind returns what is not whole, nil when all is.
func (r *Replicas) Behind() *api.BehindReplicas {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.behind
}

// Lagging returns what was not whole at the last look, also what has not been long
// enough to count.
func (r *Replicas) Lagging() []node.Lagging {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Leads returns how many streams and consumers this node leads.
func (r *Replicas) Leads() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leads
}

// Whole returns an error that says what is not whole.
func (r *Replicas) Whole() error {
	if b := r.Behind(); b != nil {
		return fault.New(fault.Unavailable, "%s", b)
	}
	return nil
}
