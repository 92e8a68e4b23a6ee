package connections

import (
	"maps"

	"midplane/api"
	"midplane/platform/registry"
)

// closedCounts are the connections of one tenant that this node has closed.
type closedCounts struct {
	byUser map[string]uint64 // the user had too many
	tenant uint64            // the tenant had too many
}

// unknownUser is the name of a user that the registry does not have, as that of
// connections of a user that was deleted.
const unknownUser = "unknown"

// nameOf returns the name of the user with a public key.
func nameOf(t *registry.Tenant, key string) string {
	for name, u := range t.Users {
		if u.PublicKey == key {
			return name
		}
	}
	return unknownUser
}

// noteClosed counts a connection that was closed.
func (l *Limiter) noteClosed(t *registry.Tenant, name, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[t.ID]
	switch reason {
	case surplusUser:
		if c.byUser == nil {
			c.byUser = map[string]uint64{}
		}
		c.byUser[name]++
	case surplusTenant:
		c.tenant++
	}
	l.counts[t.ID] = c
}

// Load adds to what this node sees of a tenant its users' connections to this
// node, and how many were closed.
func (l *Limiter) Load(t *registry.Tenant, out *api.TenantLoad) {
	names := make(map[string]string, len(t.Users)) // by public key
	for name, u := range t.Users {
		names[u.PublicKey] = name
	}
	out.Connections = map[string]int{}
	for _, c := range l.here(t) {
		name, ok := names[c.User]
		if !ok {
			name = unknownUser
		}
		out.Connections[name]++
		out.Subscriptions = max(out.Subscriptions, c.Subs)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[t.ID]
	for name := range c.byUser {
		if _, ok := t.Users[name]; !ok && name != unknownUser {
			delete(c.byUser, name) // deleted since
		}
	}
	out.Closed = maps.Clone(c.byUser)
	if c.tenant > 0 {
		if out.Refused == nil {
			out.Refused = map[string]uint64{}
		}
		out.Refused[api.LimitConnections] = c.tenant
	}
}
