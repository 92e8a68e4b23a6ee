package replicas

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"midplane/api"
)

const (
	// sumRange is how many sequences are hashed at a time, and sumBytes how much a
	// node reads for that in a round, about: half a megabyte a second.
	sumRange = 10_000
	sumBytes = 16 << 20
	// sumWhole is how large a stream may be that is hashed whole.
	sumWhole = 64 << 20
	// contentLasts is how long content must differ, whenever it is compared, until it is
	// believed: a leader removes messages before its followers do, a replica that catches
	// up has what is new before what is old, and files follow what the server has in memory.
	contentLasts = 2 * time.Minute
)

// place is where the next content is compared.
type place struct {
	after api.ReplicaRef // the stream before
	from  uint64         // in the stream behind it
}

// contents compares hashes over what the nodes hold, some ranges in a round: for
// damage that leaves the counts alone, and messages that differ.
func (a *Auditor) contents(ctx context.Context, now time.Time, s seen) {
	refs := slices.SortedFunc(maps.Keys(s.last), func(x, y api.ReplicaRef) int { return cmpRef(x, y) })
	budget := int64(sumBytes)
	for range refs { // each stream at most once in a round, but all of its ranges
		i := slices.IndexFunc(refs, func(r api.ReplicaRef) bool { return cmpRef(r, a.next.after) > 0 })
		if i < 0 {
			i = 0 // from the beginning
		}
		ref := refs[i]
		for {
			of, more := nextRange(s.last[ref], a.next.from)
			if of.To == 0 && (gapless(ref.Stream) || s.last[ref][0].Bytes > sumWhole) {
				break // it is empty, or all of it is done; or it is too large
			}
			of.ReplicaRef = ref
			read, err := a.compareContent(ctx, now, of)
			if err != nil {
				a.cfg.Log.Debug("contents are not compared", "stream", ref, "error", err)
			}
			budget -= read
			if a.next.from = of.To + 1; !more || ctx.Err() != nil {
				break
			}
			if budget <= 0 {
				return
			}
		}
		a.next = place{after: ref}
		if budget <= 0 || ctx.Err() != nil {
			return
		}
	}
}

// nextRange returns the range from from on that all replicas of a stream hold, and
// whether there is more behind it. A stream in which states replace each other is
// compared whole, when it is small.
func nextRange(list []at, from uint64) (of api.ReplicaRange, more bool) {
	if !gapless(list[0].Stream) {
		return of, false
	}
	last := list[0].Last
	for _, a := range list {
		from, last = max(from, a.First, 1), min(last, a.Last)
	}
	if from > last {
		return of, false
	}
	of.From, of.To = from, min((from/sumRange+1)*sumRange-1, last)
	return of, of.To < last
}

// compareContent compares one range and notes whose differs from two others. It
// returns how much a node has read.
func (a *Auditor) compareContent(ctx context.Context, now time.Time, of api.ReplicaRange) (read int64, err error) {
	sums, err := a.cfg.Room.sums(ctx, of)
	if err != nil {
		return 0, err
	}
	for _, sum := range sums {
		read = max(read, sum.Read)
	}
	differ := a.lasting(of, now, differing(of, sums))
	for node := range differ {
		what := fmt.Sprintf("it holds other messages than the other nodes between %d and %d", of.From, of.To)
		if of.To == 0 {
			what = "it holds other messages than the other nodes"
		}
		f := Finding{Account: of.Account, Stream: of.Stream, Node: node, Found: now.UTC(), Content: true,
			Damage: api.ReplicaDamage{What: what, From: of.From, To: of.To, At: now.UTC()}}
		if _, open := a.state.Findings[f.key()]; !open {
			a.opened(ctx, f)
		}
	}
	return read, nil
}

// lasting returns those of the nodes that differ in a range that have done so for a while.
func (a *Auditor) lasting(of api.ReplicaRange, now time.Time, differ map[string]bool) map[string]bool {
	out := map[string]bool{}
	for _, node := range a.cfg.Room.nodes() {
		key := fmt.Sprintf("%s %d %s", of.ReplicaRef, of.From/sumRange, node) // its first sequence moves on as it is trimmed
		since, known := a.differ[key]
		switch {
		case !differ[node]:
			delete(a.differ, key)
		case !known:
			a.differ[key] = now
		case now.Sub(since) >= contentLasts:
			out[node] = true
		}
	}
	return out
}

// nodes are the names of all nodes.
func (r *Room) nodes() []string { return slices.Sorted(maps.Keys(r.cfg.Registry.Nodes())) }

// sums asks all live nodes for the hash of a range.
func (r *Room) sums(ctx context.Context, of api.ReplicaRange) (map[string]api.ReplicaSum, error) {
	nc, err := r.conn.Shared()
	if err != nil {
		return nil, err
	}
	out := map[string]api.ReplicaSum{}
	_, err = ask(ctx, nc, sumWithin, api.CoreReplicaSum, of, r.cfg.Registry.LiveNodes(), func(s api.ReplicaSum) (string, bool) {
		out[s.Node] = s
		return s.Node, true
	})
	return out, err
}

// comparable reports whether a hash is over what was asked for: all of the range
// is still there, or the stream stood still at the same place on all nodes.
func comparable(of api.ReplicaRange, s, other api.ReplicaSum) bool {
	if !s.OK {
		return false
	}
	if of.To == 0 {
		return s.Last != 0 && s.Last == other.Last
	}
	return s.First <= of.From
}

// differing returns the nodes whose hash differs from one that two others share.
func differing(of api.ReplicaRange, sums map[string]api.ReplicaSum) map[string]bool {
	votes := map[[2]uint64]int{}
	for _, s := range sums {
		for _, other := range sums {
			if !comparable(of, s, other) {
				return nil
			}
		}
		votes[[2]uint64{s.Messages, s.Hash}]++
	}
	out := map[string]bool{}
	for node, s := range sums {
		for held, n := range votes {
			if n >= 2 && n > len(sums)/2 && held != [2]uint64{s.Messages, s.Hash} {
				out[node] = true
			}
		}
	}
	return out
}

// sameContent reports whether all nodes hold the same where a finding says that
// one does not.
func (a *Auditor) sameContent(ctx context.Context, f Finding) bool {
	of := api.ReplicaRange{ReplicaRef: f.ref(), From: f.Damage.From, To: f.Damage.To}
	sums, err := a.cfg.Room.sums(ctx, of)
	if err != nil || len(sums) < len(a.cfg.Registry.Nodes()) {
		return false
	}
	for _, s := range sums {
		if of.To > 0 && s.First > of.To {
			return true // it has been trimmed since
		}
		for _, other := range sums {
			if !comparable(of, s, other) || s.Hash != other.Hash || s.Messages != other.Messages {
				return false
			}
		}
	}
	return true
}

// SumHere hashes what this node holds.
func (r *Room) SumHere(_ context.Context, who string, req api.ReplicaRange) (any, error) {
	if err := nodesOnly(who); err != nil {
		return nil, err
	}
	sum, err := r.cfg.Own.Sum(req)
	sum.Node = r.cfg.Node
	return sum, err
}
