package watchdog

import (
	"time"

	"midplane/event"
	"midplane/platform/registry"
)

// Found is what nodes say of streams that store nothing, at one moment.
type Found struct {
	nodes  []registry.Presence
	raised troubles
}

// Look reads what nodes say.
func Look(reg *registry.Registry) Found {
	raised, _, _ := registry.Get[troubles](reg, keyTroubles)
	return Found{nodes: reg.LiveNodes(), raised: raised}
}

// Leader returns which node leads a stream, when this node's server says that named
// does; "" for none.
func (f Found) Leader(tenant event.Tenant, stream, named string) string {
	leader, _ := LeaderOf(f.nodes, string(tenant), stream, named)
	return leader
}

// Stalled returns since when a stream stores nothing that will not by itself, nil when
// it is none.
func (f Found) Stalled(tenant event.Tenant, stream string) *time.Time {
	t := f.raised[Trouble{Tenant: string(tenant), Stream: stream}.key()]
	if !t.Stalled {
		return nil
	}
	return &t.Since
}
