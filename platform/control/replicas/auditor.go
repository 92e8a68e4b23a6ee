package replicas

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/internal/wait"
	"midplane/platform/registry"
)

// Alarms raises alarms in tenants.
type Alarms interface {
	RaiseOnce(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm)
}

// AuditorConfig is what an Auditor is given.
type AuditorConfig struct {
	Registry *registry.Registry
	Room     *Room
	Alarms   Alarms
	Log      *slog.Logger
	Every    time.Duration // streams are compared
	// Ask has an operator decide about every repair.
	Ask bool
}

// Auditor compares replicas for one term of leading.
type Auditor struct {
	cfg      AuditorConfig
	state    compared
	repaired map[string]asked     // by Finding.key
	missing  map[string]time.Time // by Finding.key: since when a node runs no replica
	// suspects, by Finding.key, were found wanting by their counts in the last round.
	// Counts are taken while messages flow, so two rounds must say so; files are read
	// twice already.
	suspects map[string]bool
	next     place // whose content is compared next
	// differ is since when a node's content differs, by range and node.
	differ map[string]time.Time
}

// NewAuditor returns an Auditor; Run compares.
func NewAuditor(cfg AuditorConfig) *Auditor {
	return &Auditor{cfg: cfg, repaired: map[string]asked{}, differ: map[string]time.Time{}}
}

const (
	// readings is how often a stream is looked at in a round until all replicas
	// are found at the same last sequence, and how often in a row a replica has to
	// be found wanting.
	readings     = 4
	readingEvery = 700 * time.Millisecond
	// openEvery is how often is looked while something is found and not mended.
	openEvery = 3 * time.Second
)

// Run compares every so often, and at once when a node has returned, until ctx
// ends.
func (a *Auditor) Run(ctx context.Context) {
	a.state = load(a.cfg.Registry)
	var last time.Time
	var nodes []string
	for wait.For(ctx, time.Second) == nil {
		var live []string
		for _, n := range a.cfg.Registry.LiveNodes() {
			live = append(live, n.Name)
		}
		returned := slices.ContainsFunc(live, func(n string) bool { return !slices.Contains(nodes, n) })
		nodes = live
		every := a.cfg.Every
		if len(a.state.Findings) > 0 || len(a.suspects) > 0 {
			every = min(every, openEvery)
		}
		if returned || time.Since(last) >= every {
			last = time.Now()
			if err := a.round(ctx); err != nil && ctx.Err() == nil {
				a.cfg.Log.Warn("replicas are not compared", "error", err)
			}
		}
	}
}

// round compares all streams once, acts on what it finds, and stores it.
func (a *Auditor) round(ctx context.Context) error {
	began := time.Now()
	seen, err := a.look(ctx)
	if err != nil {
		return err
	}
	before := maps.Clone(a.state.Findings)
	a.judge(ctx, began, seen)
	a.absent(ctx, began, seen)
	if len(seen.silent) == 0 && len(a.state.Findings) == 0 {
		a.contents(ctx, began, seen)
	}
	a.repairOne(ctx, seen)
	if len(seen.silent) > 0 && maps.Equal(before, a.state.Findings) {
		return nil // nothing was compared on all nodes
	}
	_, err = a.cfg.Registry.PutStatus(ctx, keyReplicas, a.state)
	return err
}

// seen is what the readings of a round came to.
type seen struct {
	nodes  []string // that answered
	silent []string
	last   map[api.ReplicaRef][]at // of the last reading
	equal  []api.ReplicaRef
	bad    map[api.ReplicaRef]map[string]api.ReplicaDamage // by node; in every reading
}

// look reads what the nodes hold, those streams again that it has not found equal.
func (a *Auditor) look(ctx context.Context) (seen, error) {
	out := seen{last: map[api.ReplicaRef][]at{}, bad: map[api.ReplicaRef]map[string]api.ReplicaDamage{}}
	var only []api.ReplicaRef
	first := map[api.ReplicaRef][]at{}
	for n := range readings {
		held, silent, err := a.cfg.Room.Everywhere(ctx, api.ReplicasRequest{Streams: only})
		if err != nil {
			return out, err
		}
		out.silent, out.nodes = silent, slices.Sorted(maps.Keys(held))
		whole := len(silent) == 0 && len(held) == len(a.cfg.Registry.Nodes())
		only = nil
		for ref, list := range byStream(held) {
			if first[ref] == nil {
				first[ref] = list
			}
			v := compare(list, first[ref])
			out.last[ref] = list
			if v.equal && whole && len(list) == len(held) {
				out.equal = append(out.equal, ref)
				delete(out.bad, ref)
				continue
			}
			only = append(only, ref)
			if n == 0 {
				out.bad[ref] = v.bad
			}
			maps.DeleteFunc(out.bad[ref], func(node string, _ api.ReplicaDamage) bool { _, still := v.bad[node]; return !still })
		}
		if len(only) == 0 || n+1 < readings && wait.For(ctx, readingEvery) != nil {
			break
		}
	}
	return out, ctx.Err()
}

// judge brings the findings up to what was seen.
func (a *Auditor) judge(ctx context.Context, now time.Time, s seen) {
	suspects := map[string]bool{}
	for ref, list := range s.last {
		for _, r := range list {
			f := Finding{Account: ref.Account, Stream: ref.Stream, Node: r.node, Found: now.UTC()}
			was, open := a.state.Findings[f.key()]
			damage, bad := s.bad[ref][r.node]
			switch {
			case r.Removed != nil && !open:
				f.Damage, f.Repairing = *r.Removed, true
				a.opened(ctx, f)
			case r.Removed != nil && r.Damage == nil:
				was.Repairing, was.Waits = true, ""
				a.state.Findings[was.key()] = was
			case bad && !open && r.Damage == nil && !a.suspects[f.key()]:
				suspects[f.key()] = true
			case bad && !open:
				f.Damage = damage
				a.opened(ctx, f)
			case bad && was.Repairing && a.repaired[was.key()].over():
				was.Repairing = false
				a.state.Findings[was.key()] = was
			}
		}
	}
	a.suspects = suspects
	for _, ref := range s.equal {
		delete(a.state.Late, ref.String())
		for key, f := range a.state.Findings {
			// One that was found in this round is shown until the next.
			if f.ref() == ref && f.Found.Before(now.UTC()) && (!f.Content || takenOver(s.last[ref], f.Node) || a.sameContent(ctx, f)) {
				delete(a.state.Findings, key)
				a.closed(ctx, f)
			}
		}
	}
	a.late(s)
	if len(s.silent) == 0 {
		a.state.At = now.UTC()
	}
	if len(s.equal) > 0 {
		a.tellEqual(ctx, s.equal)
	}
}

// takenOver reports whether a node has taken a replica over whole.
func takenOver(list []at, node string) bool {
	return slices.ContainsFunc(list, func(a at) bool { return a.node == node && a.Removed != nil })
}

// late notes which streams this round has not compared, and since when.
func (a *Auditor) late(s seen) {
	for ref := range s.last {
		if _, known := a.state.Late[ref.String()]; !known && !slices.Contains(s.equal, ref) {
			a.state.Late[ref.String()] = a.state.At
		}
	}
	maps.DeleteFunc(a.state.Late, func(key string, _ time.Time) bool {
		for ref := range s.last {
			if ref.String() == key {
				return false
			}
		}
		return true
	})
	maps.DeleteFunc(a.state.Findings, func(_ string, f Finding) bool {
		_, there := s.last[f.ref()]
		return !there && len(s.silent) == 0 // its stream is gone
	})
}

// tellEqual lets the nodes forget which of these replicas they had removed.
func (a *Auditor) tellEqual(ctx context.Context, equal []api.ReplicaRef) {
	if _, _, err := a.cfg.Room.Everywhere(ctx, api.ReplicasRequest{Streams: equal[:1], Equal: equal}); err != nil {
		a.cfg.Log.Debug("nodes do not know which replicas are equal", "error", err)
	}
}
