package registry

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
)

const (
	// partWrites is how many parts are stored at once.
	partWrites = 16
	// A place that no head names is used again when it is older than PartKept: until
	// then the head that is to name it may be on its way.
	PartKept = 10 * time.Minute
	// partFresh is how old such a part may be to be named as it is. An older one is
	// stored again, so that no other request uses its place in the meantime.
	partFresh = time.Minute
)

// places are those of one tenant, as this node has them when a request begins.
// What another request does to them in between is found by compare-and-set.
type places struct {
	t     event.Tenant
	in    bucket
	named map[string]string // refs of the head that is replaced, by name

	mu    sync.Mutex
	spare map[string]spare  // parts that are stored and not named, by name
	free  []spare           // to be used again
	refs  map[string]string // where the parts are, by name
	taken map[int]bool
	next  int
}

type spare struct {
	place    int
	revision uint64
	seen     time.Time
}

// placesOf looks at the places of a tenant; head is the stored spec, nil when there
// is none.
func (r *SpecRecords) placesOf(t event.Tenant, head []byte) (*places, error) {
	p := &places{t: t, in: r.in, named: map[string]string{}, spare: map[string]spare{}, refs: map[string]string{}, taken: map[int]bool{}}
	refs, err := refsIn(head)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "spec of %s", t)
	}
	for _, ref := range refs {
		p.named[tenants.PartOf(ref)] = ref
		p.taken[placeOf(ref)] = true
	}
	declared, err := refsIn(r.declared(t))
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "what is declared of %s", t)
	}
	for _, ref := range declared {
		p.taken[placeOf(ref)] = true
	}
	r.in.mirror.Prefix(partsOf(t), func(e Entry) {
		n, err := strconv.Atoi(strings.TrimPrefix(e.Key, partsOf(t)))
		if err != nil || p.taken[n] {
			return
		}
		s := spare{n, e.Revision, e.Seen}
		p.taken[n], p.spare[api.PartName(e.Value)] = true, s
		if time.Since(e.Seen) > PartKept {
			p.free = append(p.free, s)
		}
	})
	return p, nil
}

// put stores the parts that are not there, and knows afterwards where each is.
func (p *places) put(ctx context.Context, parts []tenants.PartData) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(partWrites)
	for _, part := range parts {
		if ref, ok := p.named[part.Name]; ok {
			p.at(part.Name, ref)
			continue
		}
		g.Go(func() error {
			s, stored := p.spare[part.Name]
			if stored && time.Since(s.seen) < partFresh {
				p.at(part.Name, partRef(part.Name, s.place))
				return nil
			}
			return p.store(ctx, part, s, stored)
		})
	}
	return g.Wait()
}

// store puts a part where it was, when it is there, else into another place.
func (p *places) store(ctx context.Context, part tenants.PartData, s spare, chosen bool) error {
	for {
		if !chosen {
			s = p.take()
		}
		_, err := p.in.put(ctx, partKey(p.t, s.place), part.Data, s.revision, "a part of a spec")
		if err == nil {
			p.at(part.Name, partRef(part.Name, s.place))
		}
		if !fault.Is(err, fault.Conflict) {
			return err
		}
		chosen = false // another request uses the place
	}
}

// take returns a place that is free, or one that has never been used.
func (p *places) take() spare {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		return s
	}
	for p.taken[p.next] {
		p.next++
	}
	p.taken[p.next] = true
	return spare{place: p.next}
}

func (p *places) at(name, ref string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refs[name] = ref
}

// PutParts stores parts that a head is to name soon. One that is stored already is
// found again by its content.
func (r *SpecRecords) PutParts(ctx context.Context, t event.Tenant, parts []tenants.PartData) error {
	head, _ := r.Stored(t)
	p, err := r.placesOf(t, head)
	if err != nil {
		return err
	}
	return p.put(ctx, parts)
}

// Uploaded returns a part by its name, wherever it is: named by the present head or
// by none; NotFound when it is not there.
func (r *SpecRecords) Uploaded(t event.Tenant) func(name string) (*tenants.Part, error) {
	head, _ := r.Stored(t)
	p, err := r.placesOf(t, head)
	return func(ref string) (*tenants.Part, error) {
		if err != nil {
			return nil, err
		}
		name := tenants.PartOf(ref)
		if ref, ok := p.named[name]; ok {
			return r.Part(t, ref)
		}
		s, ok := p.spare[name]
		if !ok {
			return nil, fault.WithHint(fault.New(fault.Conflict, "a part of tenant %s is not there", t), "apply again: parts that no spec names are kept for %s", PartKept)
		}
		return r.Part(t, partRef(name, s.place))
	}
}

// DropPart deletes a part at a revision; one that was stored again stays.
func (r *SpecRecords) DropPart(ctx context.Context, key string, rev uint64) error {
	return r.in.drop(ctx, key, rev, "a part of a spec")
}
