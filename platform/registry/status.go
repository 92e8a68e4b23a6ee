package registry

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"midplane/api"
	"midplane/fault"
)

// Keys of STATUS.
func NodeKey(name string) string              { return "node." + name }
func TenantKey(tenant string) string          { return "tenant." + tenant }
func CursorKey(tenant, primary string) string { return "cursor." + tenant + "." + primary }
func PrimaryKey(primary string) string        { return "primary." + primary }
func PollerKey(tenant, poller string) string  { return "poller." + tenant + "." + poller }

func HeldKey(tenant, stream string) string { return "held." + tenant + "." + stream }

// DrainKey is of a node that an operator drains.
func DrainKey(node string) string { return "drain." + node }

// KeyLease is the lease of the control plane's leader.
const KeyLease = "lease"

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

// Held says that only the duplicate window holds a full stream, as the trimmer found.
type Held struct {
	Until time.Time `json:"until"` // when the next of it may go
}

// TenantStatus is what the leader found the last time it looked at a tenant.
type TenantStatus struct {
	Revision   uint64          `json:"revision"` // of the spec it looked at
	Conditions []api.Condition `json:"conditions"`
}

// Drain says who drains a node.
type Drain struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Lease names the leader.
type Lease struct {
	Node string `json:"node"`
	Term uint64 `json:"term"`
	Beat uint64 `json:"beat"`
}

// PutStatus stores one key of STATUS, without comparing.
func (r *Registry) PutStatus(ctx context.Context, key string, v any) (uint64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return 0, fault.Wrap(fault.Other, err, "encode %s", key)
	}
	rev, err := r.status.kv.Put(ctx, key, data)
	return rev, fault.Wrap(fault.Unavailable, err, "store %s", key)
}

// CASStatus stores one key of STATUS by compare-and-set.
func (r *Registry) CASStatus(ctx context.Context, key string, v any, rev uint64) (uint64, error) {
	return r.status.cas(ctx, key, v, rev, key)
}

// DropStatus deletes one key of STATUS.
func (r *Registry) DropStatus(ctx context.Context, key string) error {
	return fault.Wrap(fault.Unavailable, r.status.kv.Delete(ctx, key), "forget %s", key)
}

// Seen is a value with when it arrived here.
type Seen[T any] struct {
	Value T
	Seen  time.Time
}

// collect decodes every key of STATUS that begins with prefix, by the rest of
// the key. What cannot be decoded is not there: it was written by a newer version.
func collect[T any](m *Mirror, prefix string) map[string]Seen[T] {
	out := map[string]Seen[T]{}
	m.Prefix(prefix, func(e Entry) {
		var v T
		if json.Unmarshal(e.Value, &v) == nil {
			out[strings.TrimPrefix(e.Key, prefix)] = Seen[T]{Value: v, Seen: e.Seen}
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

// Clip cuts a text that others wrote to n bytes of valid UTF-8.
func Clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "?")
}
