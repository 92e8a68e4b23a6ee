package registry

import (
	"encoding/json"
	"strings"
	"time"

	"midplane/api"
)

// Keys of STATUS.
func NodeKey(name string) string              { return "node." + name }
func TenantKey(tenant string) string          { return "tenant." + tenant }
func CursorKey(tenant, primary string) string { return "cursor." + tenant + "." + primary }
func PrimaryKey(primary string) string        { return "primary." + primary }
func PollerKey(tenant, poller string) string  { return "poller." + tenant + "." + poller }

// KeyLease is the lease of the control plane's leader.
const KeyLease = "lease"

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
	// Certificates is what is wrong with its certificates.
	Certificates string `json:"certificates,omitempty"`
	Stopped      bool   `json:"stopped,omitempty"` // its last word: nobody waits for it
}

// PollerStatus is the last report of a poller, as a node took it.
type PollerStatus struct {
	api.PollerReport
	At time.Time `json:"at"`
}

// CursorStatus is what a primary has committed in one tenant.
type CursorStatus struct {
	Reading bool         `json:"reading"`
	Cursors []api.Cursor `json:"cursors"`
	At      time.Time    `json:"at"`
}

// TenantStatus is what the leader found the last time it looked at a tenant.
type TenantStatus struct {
	Revision   uint64          `json:"revision"` // of the spec it looked at
	Conditions []api.Condition `json:"conditions"`
}

// Lease names the leader.
type Lease struct {
	Node string `json:"node"`
	Term uint64 `json:"term"`
	Beat uint64 `json:"beat"`
}

// Nodes returns every node's presence with when it was seen.
func (r *Registry) Nodes() map[string]Seen[Presence] {
	return collect[Presence](r.Status, "node.")
}

// LiveNodes returns the presences younger than Live.
func (r *Registry) LiveNodes() []Presence {
	var out []Presence
	for _, n := range r.Nodes() {
		if Alive(n) {
			out = append(out, n.Value)
		}
	}
	return out
}

// Seen is a value with when it arrived here.
type Seen[T any] struct {
	Value T
	Seen  time.Time
}

// Alive reports whether a node counts as running.
func Alive(n Seen[Presence]) bool { return !n.Value.Stopped && time.Since(n.Seen) < Live }

// collect decodes every key of STATUS that begins with prefix, by the rest of
// the key. What cannot be decoded is not there: it was written by a newer version.
func collect[T any](m *Mirror, prefix string) map[string]Seen[T] {
	out := map[string]Seen[T]{}
	m.All(func(e Entry) {
		if rest, ok := strings.CutPrefix(e.Key, prefix); ok {
			var v T
			if json.Unmarshal(e.Value, &v) == nil {
				out[rest] = Seen[T]{Value: v, Seen: e.Seen}
			}
		}
	})
	return out
}

// Collect is collect for the rest of the control plane.
func Collect[T any](r *Registry, prefix string) map[string]Seen[T] {
	return collect[T](r.Status, prefix)
}

// Get decodes one key of STATUS.
func Get[T any](r *Registry, key string) (v T, seen time.Time, ok bool) {
	e, ok := r.Status.Get(key)
	if !ok || json.Unmarshal(e.Value, &v) != nil {
		return v, time.Time{}, false
	}
	return v, e.Seen, true
}
