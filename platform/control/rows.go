package control

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/event"
	"midplane/platform/control/registry"
	"midplane/platform/node"
	"midplane/schemas"
	"midplane/schemas/catalog"
	"midplane/streams"
	"midplane/tenants"
)

func (c *Control) siteRows(_ context.Context, req api.ListRequest) (out []row[api.Site], err error) {
	err = c.each(req, func(t *registry.Tenant) {
		for _, s := range t.Spec.Sites {
			if req.Site != "" && string(s.ID) != req.Site {
				continue
			}
			r := api.Site{ID: string(s.ID), Tenant: string(t.ID), Name: s.Name, Pollers: []string{}, Devices: len(s.Devices)}
			for _, p := range s.Pollers {
				r.Pollers = append(r.Pollers, string(p.ID))
			}
			for _, u := range joined(t) {
				if u.Site == s.ID {
					r.Pollers = append(r.Pollers, u.Name)
				}
			}
			out = append(out, row[api.Site]{string(t.ID) + "/" + string(s.ID), r})
		}
	})
	return out, err
}

func (c *Control) pollerRows(_ context.Context, req api.ListRequest) (out []row[api.Poller], err error) {
	err = c.each(req, func(t *registry.Tenant) {
		for _, s := range t.Spec.Sites {
			if req.Site != "" && string(s.ID) != req.Site {
				continue
			}
			for _, p := range s.Pollers {
				out = append(out, row[api.Poller]{string(t.ID) + "/" + string(s.ID) + "/" + string(p.ID), c.pollerRow(t, s.ID, p.ID, p.Embedded)})
			}
		}
		for _, u := range joined(t) {
			if req.Site == "" || string(u.Site) == req.Site {
				out = append(out, row[api.Poller]{string(t.ID) + "/" + string(u.Site) + "/" + u.Name, c.pollerRow(t, u.Site, event.Producer(u.Name), false)})
			}
		}
	})
	return out, err
}

func (c *Control) pollerRow(t *registry.Tenant, site event.Site, id event.Producer, embedded bool) api.Poller {
	r := api.Poller{ID: string(id), Tenant: string(t.ID), Site: string(site), Embedded: embedded, Status: api.PollerPending}
	if cfg, ok := t.Spec.PollerConfig(id); ok {
		r.Devices = len(cfg.Devices)
	}
	s, seen, ok := registry.Get[registry.PollerStatus](c.reg, registry.PollerKey(string(t.ID), string(id)))
	if u, known := t.Users[string(id)]; known && !u.Live() {
		r.Status = api.PollerRevoked
	}
	if !ok {
		return r
	}
	at := s.At.UTC()
	r.LastSeen, r.Version, r.Revision, r.Outbox, r.Problem = &at, s.Version, s.PollerReport.Revision, s.Outbox, s.Problem
	switch {
	case r.Status == api.PollerRevoked:
	case time.Since(seen) < c.cfg.Pace.PollerSilent:
		r.Status = api.PollerOnline
	default:
		r.Status = api.PollerOffline
	}
	return r
}

// streamRows asks each stream's leader: only it knows which replicas keep up.
// A stream without one is shown as this node's replica has it.
func (c *Control) streamRows(ctx context.Context, req api.ListRequest) (out []row[api.Stream], err error) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(16)
	var mu sync.Mutex
	err = c.each(req, func(t *registry.Tenant) {
		for _, local := range c.cfg.Server.Streams(t.Account.Key) {
			g.Go(func() error {
				r := c.streamRow(ctx, t, local)
				mu.Lock()
				defer mu.Unlock()
				out = append(out, row[api.Stream]{string(t.ID) + "/" + r.ID, r})
				return nil
			})
		}
	})
	_ = g.Wait() // returns nil
	return out, err
}

func (c *Control) streamRow(ctx context.Context, t *registry.Tenant, s node.Stream) api.Stream {
	r := api.Stream{ID: s.Name, Tenant: string(t.ID), Kind: string(event.KindOfStream(s.Name)), Messages: s.Messages, Bytes: s.Bytes,
		MaxBytes: s.MaxBytes, First: s.First, Last: s.Last, Replicas: []string{}}
	if js, err := c.cfg.Dialer.JetStream(t); err == nil {
		if stream, err := js.Stream(ctx, s.Name); err == nil {
			info := stream.CachedInfo()
			r.Messages, r.Bytes, r.First, r.Last = info.State.Msgs, info.State.Bytes, info.State.FirstSeq, info.State.LastSeq
			if info.Cluster != nil {
				r.Leader = info.Cluster.Leader
				for _, p := range info.Cluster.Replicas {
					r.Replicas = append(r.Replicas, replica(p))
				}
				sort.Strings(r.Replicas)
			}
		}
	}
	if seq, owner, ok := streams.Floor(c.primaryCursors(t, s.Name)); ok {
		r.Floor = seq
		if seq < r.Last {
			r.HeldBy = owner
		}
	}
	return r
}

func replica(p *jetstream.PeerInfo) string {
	switch {
	case p.Offline:
		return p.Name + " (offline)"
	case !p.Current:
		return p.Name + " (behind)"
	}
	return p.Name
}

func (c *Control) schemaRows(_ context.Context, req api.ListRequest) (out []row[api.Schema], err error) {
	add := func(tenant string, s schemas.Schema) {
		out = append(out, row[api.Schema]{tenant + "/" + string(s.Type), api.Schema{ID: string(s.Type), Tenant: tenant, Type: string(s.Type),
			Kind: s.Kind, Version: s.Version, Schema: s.Schema, Example: s.Example}})
	}
	for _, s := range catalog.Schemas() {
		add("", s)
	}
	err = c.each(req, func(t *registry.Tenant) {
		for _, s := range t.Spec.Schemas {
			add(string(t.ID), s)
		}
	})
	return out, err
}

// checkSchemas compiles a tenant's own types beside Midplane's.
func (c *Control) checkSchemas(spec *tenants.Spec) error {
	_, err := catalog.Set().With(spec.Schemas)
	return err
}

// nodeStatus is what the control plane knows of itself, and what is wrong.
func (c *Control) clusterStatus() api.ClusterStatus {
	meta := c.cfg.Server.Meta()
	rev, _ := c.reg.Config.Revision()
	lease, _, _ := c.lease()
	out := api.ClusterStatus{Nodes: []api.Node{}, Leader: lease.Node, MetaLead: meta.Leader, Revision: rev, Problems: []api.Problem{}, Primaries: []api.PrimaryState{}}
	// A node that cannot even store its own presence has no quorum: nothing it
	// remembers of the others counts.
	_, seen, ok := registry.Get[registry.Presence](c.reg, registry.NodeKey(c.cfg.Node))
	quorum := ok && time.Since(seen) < registry.Live
	if !quorum {
		out.Problems = append(out.Problems, api.Problem{Severity: "critical", Message: "the registry takes no writes: node " + c.cfg.Node + " is without a quorum",
			Hint: "two of the three nodes must be up and reach each other; until then pollers keep what they see, and nothing is lost"})
	}
	for name, n := range c.reg.Nodes() {
		live := registry.Alive(n) || name == c.cfg.Node
		out.Nodes = append(out.Nodes, api.Node{ID: name, Live: live, LastSeen: n.Seen.UTC(), Revision: n.Value.Revision, Tenants: n.Value.Tenants, Version: n.Value.Version})
		switch {
		case !live && quorum:
			out.Problems = append(out.Problems, api.Problem{Severity: "critical", Message: fmt.Sprintf("node %s is not live since %s", name, n.Seen.UTC().Format(time.RFC3339)),
				Hint: "start it again: the others carry on, but the next failure would stop the cluster"})
		case live && n.Value.Problem != "":
			out.Problems = append(out.Problems, api.Problem{Severity: "error", Message: fmt.Sprintf("node %s: %s", name, n.Value.Problem), Hint: "see its log"})
		}
		if live && n.Value.Certificates != "" {
			out.Problems = append(out.Problems, certificatesProblem(name, n.Value.Certificates))
		}
	}
	for name, p := range registry.Collect[time.Time](c.reg, "primary.") {
		live := time.Since(p.Seen) < c.cfg.Pace.PrimarySilent
		out.Primaries = append(out.Primaries, api.PrimaryState{ID: name, LastSeen: p.Seen.UTC(), Live: live})
		if !live {
			out.Problems = append(out.Problems, api.Problem{Severity: "error", Message: fmt.Sprintf("primary %s is silent since %s; nothing it has not read can be trimmed", name, p.Seen.UTC().Format(time.RFC3339)),
				Hint: "start it, or let go of it with: midplane primary forget " + name + " --yes"})
		}
	}
	if meta.Leader == "" {
		out.Problems = append(out.Problems, api.Problem{Severity: "critical", Message: "JetStream has no meta leader", Hint: "are two of the three nodes running and connected?"})
	}
	out.Problems = append(out.Problems, c.auditProblems()...)
	proof, broken := c.isolation()
	out.Isolation, out.Problems = proof, append(out.Problems, broken...)
	for _, t := range c.reg.View().Tenants {
		out.Problems = append(out.Problems, c.tenantProblems(t)...)
	}
	sortStatus(&out)
	return out
}

func (c *Control) tenantProblems(t *registry.Tenant) (out []api.Problem) {
	if t.Spec == nil {
		switch {
		case t.Leaving():
			out = append(out, api.Problem{Severity: "notice", Tenant: string(t.ID), Message: "is being deleted", Hint: "wait"})
		case t.Problem != "":
			out = append(out, api.Problem{Severity: "critical", Tenant: string(t.ID), Message: "its spec cannot be read by this node: " + t.Problem,
				Hint: "is this node older than the one that stored it? Nothing of the tenant is changed meanwhile"})
		}
		return out
	}
	out = append(out, c.driftProblem(t)...)
	r := c.tenantRow(t)
	for _, cond := range r.Conditions {
		if !cond.OK {
			out = append(out, api.Problem{Severity: "warning", Tenant: r.ID, Message: cond.Type + ": " + cond.Message, Hint: conditionHint[cond.Type]})
		}
	}
	out = append(out, secretProblems(t)...)
	pollers := t.Spec.Pollers()
	for _, u := range joined(t) {
		pollers = append(pollers, tenants.PollerAt{Site: u.Site, Poller: tenants.Poller{ID: event.Producer(u.Name)}})
	}
	for _, p := range pollers {
		if row := c.pollerRow(t, "", p.ID, p.Embedded); row.Status == api.PollerOffline {
			out = append(out, api.Problem{Severity: "error", Tenant: r.ID, Message: fmt.Sprintf("poller %s is offline since %s", p.ID, row.LastSeen.Format(time.RFC3339)),
				Hint: "is its machine up, and can it reach the nodes? It keeps what it sees and sends it later"})
		} else if row.Problem != "" {
			out = append(out, api.Problem{Severity: "warning", Tenant: r.ID, Message: fmt.Sprintf("poller %s: %s", p.ID, row.Problem), Hint: "see its log"})
		}
	}
	for _, s := range c.cfg.Server.Streams(t.Account.Key) {
		if s.MaxBytes > 0 && s.Bytes*100 > uint64(s.MaxBytes)*streams.TrimAbove {
			_, owner, ok := streams.Floor(c.primaryCursors(t, s.Name))
			if !ok {
				owner = "no primary"
			}
			out = append(out, api.Problem{Severity: "error", Tenant: r.ID, Message: fmt.Sprintf("stream %s is %d %% full; read up to by the slowest: %s", s.Name, s.Bytes*100/uint64(s.MaxBytes), owner),
				Hint: "let the reader catch up, or raise quota.storage in the tenant's file"})
		}
		if s.Leader == "" {
			out = append(out, api.Problem{Severity: "critical", Tenant: r.ID, Message: "stream " + s.Name + " has no leader", Hint: "pollers keep what they see; a leader is elected within 10 seconds when two nodes are up"})
		}
	}
	return out
}

var conditionHint = map[string]string{
	api.AccountPushed:  "the named nodes take it from the registry by themselves; is their clock and disk all right?",
	api.StreamsReady:   "are two of the three nodes up, and is there room on their disks?",
	api.SchemasBound:   "the named nodes take them from the registry by themselves",
	api.IngressOpen:    "see the log of the named nodes",
	api.PrimaryReading: "start a primary: midplane primary",
}
