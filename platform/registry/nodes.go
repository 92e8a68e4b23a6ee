package registry

import (
	"context"
	"maps"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// Live is how young a presence must be to count.
const Live = 5 * time.Second

// Presence is what a node says of itself every second.
type Presence struct {
	Name     string   `json:"name"`
	Revision uint64   `json:"revision"` // of the registry its ingress has loaded
	Closed   []string `json:"closed"`   // tenants whose door is not open here
	Tenants  int      `json:"tenants"`  // doors open
	Client   string   `json:"client"`   // URL for clients
	Version  string   `json:"version"`
	Problem  string   `json:"problem,omitempty"`
	// Unrecorded is how many acts it could not store in the audit log; an older
	// node says it in Problem alone.
	Unrecorded int64 `json:"unrecorded,omitempty"`
	// Certificates is what is wrong with its certificates.
	Certificates string `json:"certificates,omitempty"`
	// Held are the producers that its doors hold back.
	Held    []api.HeldProducer `json:"held,omitempty"`
	Stopped bool               `json:"stopped,omitempty"` // its last presence: it is not waited for
	// Types are the versions of Midplane's own types that its doors take, where
	// they are above 1.
	Types map[event.Type]int `json:"types,omitempty"`
	// Formats are what it understands of what is stored and sent.
	Formats api.Formats `json:"formats,omitempty"`
	// Store is what it has on disk, nil of an older node.
	Store *api.Store `json:"store,omitempty"`
	// Behind is what of its replicas is not whole; nil: nothing, or an older node.
	Behind *api.BehindReplicas `json:"behind,omitempty"`
	// Leads and Clients are how many streams and consumers it leads, and how many
	// connections of users it has.
	Leads   int `json:"leads,omitempty"`
	Clients int `json:"clients,omitempty"`
	// Started is when its control plane started; nil of an older node.
	Started *time.Time `json:"started,omitempty"`
	// Stuck are streams that store nothing, as it sees them.
	Stuck []api.StuckStream `json:"stuck,omitempty"`
	// OutOfStorage says that it cannot write to its disk any more. It ends, and this is
	// its last presence but for a farewell.
	OutOfStorage bool `json:"outOfStorage,omitempty"`
	// Probe is what came of trying its own door; nil: not tried, or an older node.
	Probe *api.Probe `json:"probe,omitempty"`
}

// Alive reports whether a node counts as running.
func Alive(n Seen[Presence]) bool { return !n.Value.Stopped && time.Since(n.Seen) < Live }

// Stores reports whether a node could store its own presence lately: without a quorum
// it cannot.
func Stores(r *Registry, node string) bool {
	_, seen, ok := Get[Presence](r, NodeKey(node))
	return ok && time.Since(seen) < Live
}

// Nodes returns every node's presence with when it was seen.
func (r *Registry) Nodes() map[string]Seen[Presence] {
	return collect[Presence](r.Status, "node.")
}

// LiveNodes returns the presences younger than Live, by name: what is said of
// nodes, as in a tenant's conditions, must not change with the order of a map.
func (r *Registry) LiveNodes() []Presence {
	var out []Presence
	nodes := r.Nodes()
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		if n := nodes[name]; Alive(n) {
			out = append(out, n.Value)
		}
	}
	return out
}

// Drained reports whether a node is to have no clients and to lead nothing.
func Drained(r *Registry, node string) bool {
	_, _, ok := Get[Drain](r, DrainKey(node))
	return ok
}

// WaitLoaded blocks until the ingress of every live node has loaded revision rev
// and has the tenant's door open; Unavailable, naming the nodes that have not,
// when ctx ends.
func (r *Registry) WaitLoaded(ctx context.Context, id event.Tenant, rev uint64) error {
	for {
		_, changed := r.Status.Revision()
		var behind []string
		live := r.LiveNodes()
		for _, n := range live {
			if n.Revision < rev || slices.Contains(n.Closed, string(id)) {
				behind = append(behind, n.Name)
			}
		}
		if len(live) > 0 && len(behind) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(time.Second): // a node may have stopped being live
		case <-ctx.Done():
			return fault.WithHint(fault.New(fault.Unavailable, "stored as revision %d, but not loaded yet by %v", rev, behind),
				"repeat the command; see: midplane status")
		}
	}
}

// Behind returns the nodes that have not loaded revision rev, or whose door of the
// tenant is closed: also those that are known and do not live, which start again with
// what they have.
func (r *Registry) Behind(id event.Tenant, rev uint64) (names []string) {
	for name, n := range r.Nodes() {
		if !Alive(n) || n.Value.Revision < rev || slices.Contains(n.Value.Closed, string(id)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Servers are the client URLs of the nodes, those that are live first.
func (r *Registry) Servers() []string {
	var live, away []string
	for _, n := range r.Nodes() {
		switch {
		case n.Value.Client == "":
		case Alive(n):
			live = append(live, n.Value.Client)
		default:
			away = append(away, n.Value.Client)
		}
	}
	slices.Sort(live)
	slices.Sort(away)
	return append(live, away...)
}
