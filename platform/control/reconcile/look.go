package reconcile

import (
	"slices"
	"strings"
	"time"

	"midplane/event"
	"midplane/platform/registry"
)

// changes is the registry's mirror of STATUS.
type changes interface {
	Since(n uint64) (keys []string, upTo uint64, all bool)
}

// look knows which tenants' conditions may have changed since the last look. Every
// report of every poller and node is a change of STATUS, so looking at all tenants
// at each would grow with their square.
type look struct {
	status uint64 // changes of STATUS
	view   uint64
	nodes  []registry.Presence
	all    time.Time // when all were looked at
}

// at returns the tenants to look at: all of them when the registry or what nodes
// say of tenants has changed, and every few seconds, since a condition may depend on
// how long something has been silent; else those that STATUS has something new of,
// and those on which work has ended.
// nodes are in order of their names.
func (k *look) at(status changes, view *registry.View, nodes []registry.Presence, ended map[event.Tenant]bool, now time.Time) map[event.Tenant]bool {
	keys, upTo, all := status.Since(k.status)
	k.status = upTo
	all = all || view.Revision != k.view || now.Sub(k.all) >= lookAllEvery || !slices.EqualFunc(nodes, k.nodes, sameServed)
	k.view, k.nodes = view.Revision, nodes
	if !all {
		for _, key := range keys {
			if id, ok := tenantOf(key); ok {
				ended[id] = true
			}
		}
		return ended
	}
	k.all = now
	every := make(map[event.Tenant]bool, len(view.Tenants))
	for id := range view.Tenants {
		every[id] = true
	}
	return every
}

// tenantOf returns the tenant whose conditions a key of STATUS has a part in.
func tenantOf(key string) (event.Tenant, bool) {
	kind, rest, _ := strings.Cut(key, ".")
	if kind != "tenant" && kind != "cursor" {
		return "", false
	}
	id, _, _ := strings.Cut(rest, ".")
	return event.Tenant(id), id != ""
}

// sameServed reports whether a node serves the same as before.
func sameServed(a, b registry.Presence) bool {
	return a.Name == b.Name && a.Revision == b.Revision && slices.Equal(a.Closed, b.Closed)
}
