package status

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/platform/control/accounts"
	"midplane/platform/control/auditlog"
	"midplane/platform/control/canary"
	"midplane/platform/control/lease"
	"midplane/platform/control/primaries"
	"midplane/platform/control/secrets"
	"midplane/platform/control/watchdog"
	"midplane/platform/node"
	"midplane/platform/registry"
	"midplane/streams"
	"midplane/tenants"
)

// Cluster answers what the control plane knows of itself, and what is wrong. What of
// it is wrong is decided in package api.
func (s *Status) Cluster(context.Context, string, struct{}) (any, error) {
	rev, _ := s.cfg.Registry.Config.Revision()
	facts, proof := s.facts()
	out := api.ClusterStatus{Nodes: []api.Node{}, Leader: lease.Holder(s.cfg.Registry), MetaLead: facts.MetaLead, Revision: rev,
		Primaries: facts.Primaries, Isolation: proof, Problems: facts.Problems()}
	for _, n := range facts.Nodes {
		out.Nodes = append(out.Nodes, n.Node)
	}
	return out, nil
}

// facts is what this node sees.
func (s *Status) facts() (api.ClusterFacts, *api.Isolation) {
	proof, isolation := canary.Isolation(s.cfg.Registry, s.cfg.Started, s.cfg.Canary)
	meta := s.cfg.Server.Meta()
	f := api.ClusterFacts{Node: s.cfg.Node, Quorum: registry.Stores(s.cfg.Registry, s.cfg.Node), CutOff: meta.Unheard, MetaLead: meta.Leader,
		Primaries: []api.PrimaryState{}, Audit: auditlog.Facts(s.cfg.Server.Streams(s.cfg.Control)), Isolation: isolation, Upgrade: s.cfg.Upgrade(), Replicas: s.cfg.Replicas()}
	held := map[event.Tenant][]api.HeldProducer{}
	for name, n := range s.cfg.Registry.Nodes() {
		live := registry.Alive(n) || name == s.cfg.Node
		if live {
			for _, h := range n.Value.Held {
				held[h.Tenant] = append(held[h.Tenant], h)
			}
		}
		one := nodeFacts(name, live, n)
		one.Drained = registry.Drained(s.cfg.Registry, name)
		f.Nodes = append(f.Nodes, one)
	}
	sort.Slice(f.Nodes, func(i, j int) bool { return f.Nodes[i].ID < f.Nodes[j].ID })
	for name, p := range s.cfg.Registry.Primaries() {
		f.Primaries = append(f.Primaries, api.PrimaryState{ID: name, LastSeen: p.Seen.UTC(), Live: time.Since(p.Seen) < s.cfg.PrimarySilent, Version: p.Value.Version})
	}
	sort.Slice(f.Primaries, func(i, j int) bool { return f.Primaries[i].ID < f.Primaries[j].ID })
	found := watchdog.Look(s.cfg.Registry)
	for _, t := range s.cfg.Registry.View().Tenants {
		if t.ID.OfSystem() {
			continue // nodes say what comes of it
		}
		f.Tenants = append(f.Tenants, s.tenantFacts(t, held[t.ID], found))
	}
	return f, proof
}

func nodeFacts(name string, live bool, n registry.Seen[registry.Presence]) api.NodeFacts {
	out := api.NodeFacts{Node: api.Node{ID: name, Live: live, LastSeen: n.Seen.UTC(), Revision: n.Value.Revision, Tenants: n.Value.Tenants, Version: n.Value.Version,
		Leads: n.Value.Leads, Clients: n.Value.Clients, Behind: n.Value.Behind, Probe: n.Value.Probe},
		Problem: n.Value.Problem, Certificates: n.Value.Certificates, Unrecorded: n.Value.Unrecorded, Store: n.Value.Store, OutOfStorage: n.Value.OutOfStorage}
	if out.Store != nil {
		out.Used = out.Store.Used
	}
	if out.Problem == api.Unrecorded(out.Unrecorded) {
		out.Problem = "" // the same, for older nodes
	}
	return out
}

// tenantFacts is what this node sees of one tenant. held are its producers that
// live nodes hold back, and found is of streams that store nothing.
func (s *Status) tenantFacts(t *registry.Tenant, held []api.HeldProducer, found watchdog.Found) api.TenantFacts {
	if t.Spec == nil {
		return api.TenantFacts{ID: string(t.ID), Undeclared: true, Leaving: t.Leaving(), Unreadable: t.Problem}
	}
	out := api.TenantFacts{ID: string(t.ID), Drift: accounts.LastDrift(s.cfg.Registry, t), Conditions: s.tenantRow(t).Conditions, Unset: unset(t)}
	pollers := t.Pollers()
	for _, p := range pollers {
		out.Pollers = append(out.Pollers, s.pollerRow(t, p.Site, p.ID, p.Embedded))
	}
	out.Held = s.held(t, pollers, held)
	for _, st := range s.cfg.Server.Streams(t.Account.Key) {
		f := s.streamFacts(t, st)
		f.Leader, f.Stalled = found.Leader(t.ID, st.Name, st.Leader), found.Stalled(t.ID, st.Name)
		out.Streams = append(out.Streams, f)
	}
	return out
}

// streamFacts is what this node sees of one stream.
func (s *Status) streamFacts(t *registry.Tenant, st node.Stream) api.StreamFacts {
	f := api.StreamFacts{Name: st.Name, Leader: st.Leader, Bytes: st.Bytes, MaxBytes: shareOf(t, st.Name), Above: streams.TrimAbove}
	read, slowest, ok := streams.Floor(primaries.Cursors(s.cfg.Registry, t, st.Name))
	if f.Slowest = slowest; ok && read < st.Last {
		f.Unread = st.Last - max(read, min(st.First, st.Last+1)-1)
	}
	if _, seen, known := registry.Get[time.Time](s.cfg.Registry, registry.PrimaryKey(strings.TrimPrefix(slowest, "primary "))); known && time.Since(seen) >= s.cfg.PrimarySilent {
		seen = seen.UTC()
		f.Away = &seen
	}
	if held, _, known := registry.Get[registry.Held](s.cfg.Registry, registry.HeldKey(string(t.ID), st.Name)); known {
		f.Window = &held.Until
	}
	return f
}

// unset is what a tenant's file refers to and has no value.
func unset(t *registry.Tenant) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(secrets.Users(t))) {
		if !t.HasSecret(name) {
			out = append(out, name)
		}
	}
	return out
}

// held joins what is known of the tenant's producers that are held back. Doors
// name those that they refuse, pollers report it of themselves, since they keep to
// their limit without being refused.
func (s *Status) held(t *registry.Tenant, pollers []tenants.PollerAt, doors []api.HeldProducer) []api.HeldProducer {
	held := map[event.Producer]api.HeldProducer{}
	for _, p := range pollers {
		report, seen, ok := registry.Get[registry.PollerStatus](s.cfg.Registry, registry.PollerKey(string(t.ID), string(p.ID)))
		if ok && report.Held != nil && time.Since(seen) < s.cfg.PollerSilent {
			held[p.ID] = api.HeldProducer{Tenant: t.ID, Producer: p.ID, Held: *report.Held}
		}
	}
	for _, h := range doors {
		// Of several nodes the one counts that shuts out, or refuses most; what
		// a poller reports of its outbox stays.
		old := held[h.Producer]
		if h.ShutOut == nil && (old.ShutOut != nil || old.Refused > h.Refused) {
			continue
		}
		h.Waiting = old.Waiting
		held[h.Producer] = h
	}
	return slices.SortedFunc(maps.Values(held), func(a, b api.HeldProducer) int { return cmp.Compare(a.Producer, b.Producer) })
}
