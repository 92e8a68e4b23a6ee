package status

import (
	"context"
	"sort"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/primaries"
	"midplane/platform/control/service"
	"midplane/platform/node"
	"midplane/platform/registry"
	"midplane/schemas"
	"midplane/schemas/catalog"
	"midplane/streams"
)

// Sites lists sites.
func (s *Status) Sites(_ context.Context, req api.ListRequest) (out []service.Row[api.Site], err error) {
	err = service.Each(s.cfg.Registry.View(), req, func(t *registry.Tenant) {
		for _, site := range t.Spec.Sites {
			if req.Site != "" && string(site.ID) != req.Site {
				continue
			}
			r := api.Site{ID: string(site.ID), Tenant: string(t.ID), Name: site.Name, Pollers: []string{}, Devices: len(site.Devices)}
			for _, p := range t.Pollers() {
				if p.Site == site.ID {
					r.Pollers = append(r.Pollers, string(p.ID))
				}
			}
			out = append(out, service.RowOf(string(t.ID)+"/"+string(site.ID), r))
		}
	})
	return out, err
}

// Pollers lists pollers, those too that joined without being declared.
func (s *Status) Pollers(_ context.Context, req api.ListRequest) (out []service.Row[api.Poller], err error) {
	err = service.Each(s.cfg.Registry.View(), req, func(t *registry.Tenant) {
		for _, p := range t.Pollers() {
			if req.Site == "" || string(p.Site) == req.Site {
				out = append(out, service.RowOf(string(t.ID)+"/"+string(p.Site)+"/"+string(p.ID), s.pollerRow(t, p.Site, p.ID, p.Embedded)))
			}
		}
	})
	return out, err
}

func (s *Status) pollerRow(t *registry.Tenant, site event.Site, id event.Producer, embedded bool) api.Poller {
	r := api.Poller{ID: string(id), Tenant: string(t.ID), Site: string(site), Embedded: embedded, Status: api.PollerPending, Unsent: []api.Unsent{}}
	r.Devices = t.Spec.CountWatched(id)
	report, seen, ok := registry.Get[registry.PollerStatus](s.cfg.Registry, registry.PollerKey(string(t.ID), string(id)))
	if u, known := t.Users[string(id)]; known && !u.Live() {
		r.Status = api.PollerRevoked
	}
	if !ok {
		return r
	}
	at := report.At.UTC()
	r.Thinned, r.Overflow, r.Epoch = report.Thinned, report.Overflow, report.Epoch
	for _, o := range report.Outgoing {
		u := api.Unsent{Stream: o.Stream, Messages: o.Waiting}
		if o.Waiting > 0 {
			oldest := at.Add(-time.Duration(o.OldestMS) * time.Millisecond)
			u.Oldest = &oldest
		}
		r.Unsent = append(r.Unsent, u)
	}
	r.LastSeen, r.Version, r.Revision, r.Outbox, r.Problem = &at, report.Version, report.PollerReport.Revision, report.Outbox, report.Problem
	if report.Formats.Number(api.FormatChannel) < api.ChannelWithParts && t.PartNames != nil && r.Revision < t.SpecRevision && r.Problem == "" {
		cfg, _ := t.Spec.PollerConfig(id) // without a declaration it has no devices
		if err := cfg.Fits(); err != nil {
			r.Problem = err.Error() + "; " + fault.HintOf(err)
		}
	}
	switch {
	case r.Status == api.PollerRevoked:
	case time.Since(seen) < s.cfg.PollerSilent:
		r.Status = api.PollerOnline
	default:
		r.Status = api.PollerOffline
	}
	return r
}

// Streams lists streams. It asks each stream's leader: only it knows which replicas keep up.
// A stream without one is shown as this node's replica has it.
func (s *Status) Streams(ctx context.Context, req api.ListRequest) (out []service.Row[api.Stream], err error) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(16)
	var mu sync.Mutex
	err = service.Each(s.cfg.Registry.View(), req, func(t *registry.Tenant) {
		for _, local := range s.cfg.Server.Streams(t.Account.Key) {
			g.Go(func() error {
				r := s.streamRow(ctx, t, local)
				mu.Lock()
				defer mu.Unlock()
				out = append(out, service.RowOf(string(t.ID)+"/"+r.ID, r))
				return nil
			})
		}
	})
	_ = g.Wait() // returns nil
	return out, err
}

func (s *Status) streamRow(ctx context.Context, t *registry.Tenant, local node.Stream) api.Stream {
	r := api.Stream{ID: local.Name, Tenant: string(t.ID), Kind: string(event.KindOfStream(local.Name)), Messages: local.Messages, Bytes: local.Bytes,
		MaxBytes: shareOf(t, local.Name), First: local.First, Last: local.Last, Replicas: []string{}}
	if js, err := s.cfg.Dialer.JetStream(t); err == nil {
		if stream, err := js.Stream(ctx, local.Name); err == nil {
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
	if seq, owner, ok := streams.Floor(primaries.Cursors(s.cfg.Registry, t, local.Name)); ok {
		r.Floor = seq
		if seq < r.Last {
			r.HeldBy = owner
		}
	}
	return r
}

// shareOf returns what a stream may hold, 0 for one that no tenant has.
func shareOf(t *registry.Tenant, stream string) int64 {
	if k := event.KindOfStream(stream); k != "" {
		return t.Spec.Limits().Share(k)
	}
	return 0
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

// Schemas lists Midplane's types and those of tenants.
func (s *Status) Schemas(_ context.Context, req api.ListRequest) (out []service.Row[api.Schema], err error) {
	add := func(tenant string, sc schemas.Schema) {
		out = append(out, service.RowOf(tenant+"/"+string(sc.Type), api.Schema{ID: string(sc.Type), Tenant: tenant, Type: string(sc.Type),
			Kind: sc.Kind, Version: sc.Version, Schema: sc.Schema, Example: sc.Example}))
	}
	for _, sc := range catalog.Schemas() {
		add("", sc)
	}
	err = service.Each(s.cfg.Registry.View(), req, func(t *registry.Tenant) {
		for _, sc := range t.Spec.Schemas {
			add(string(t.ID), sc)
		}
	})
	return out, err
}
