package node

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/atomicfile"
	"midplane/platform/node/blocks"
)

// againWithin is for how long blocks are read before a start that were whole
// before and look untouched. What has changed is always read.
const againWithin = 5 * time.Second

// askWithin is how long a start waits for the other nodes to read their files.
const askWithin = 2 * time.Minute

// prepare verifies all replicas before the server starts, and removes those that
// are damaged, or that it was asked to repair, when the other nodes hold all of
// them.
func (r *Replicas) prepare(ctx context.Context) error {
	r.mu.Lock()
	err := r.memory.load()
	r.mu.Unlock()
	if err != nil {
		r.log.Warn("what was kept about replicas cannot be read; all their blocks are read", "error", err)
	}
	if err := r.finishRemoving(); err != nil {
		return fault.Wrap(fault.Other, err, "remove a replica")
	}
	found, err := r.find()
	if err != nil {
		return err
	}
	if err := r.examine(ctx, found); err != nil {
		return err
	}
	if err := r.remove(ctx); err != nil {
		return fault.Wrap(fault.Other, err, "remove a replica")
	}
	if err := r.prepareConsumers(); err != nil {
		return fault.Wrap(fault.Other, err, "remove what is kept about consumers")
	}
	if err := r.prepareMeta(ctx, found); err != nil {
		return fault.Wrap(fault.Other, err, "remove the meta group's log")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.asked) // what was not removed is asked for again
	return r.memory.save()
}

// examine reads the replicas' files.
func (r *Replicas) examine(ctx context.Context, found []blocks.Stream) error {
	began := time.Now()
	for _, s := range found {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		v := r.verify(s, blocks.Scope{Known: r.known(s)})
		if v.Behind && v.Whole() {
			// The server would take the messages between for deleted. Without its
			// note it reads the blocks, and gets the rest from its Raft log or the leader.
			r.log.Warn("the server's note of a stream knows of messages that are not in its blocks; the note is removed", "account", s.Account, "stream", s.Name)
			if err := s.Forget(); err != nil {
				return err
			}
		}
	}
	for _, s := range found {
		if time.Since(began) > againWithin || ctx.Err() != nil {
			break
		}
		r.verify(s, blocks.Scope{})
	}
	if err := r.examineGroups(); err != nil {
		return err
	}
	r.log.Info("replicas verified", "streams", len(found), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// examineGroups checks what the server needs of the Raft groups to start replicas.
func (r *Replicas) examineGroups() error {
	groups, err := blocks.Groups(r.store, r.key)
	if err != nil {
		return err
	}
	for _, g := range groups {
		bad, err := g.Snapshots()
		if err != nil {
			return err
		}
		if len(bad) > 0 {
			r.damaged(api.ReplicaRef{Account: g.Account, Stream: g.Stream}, *damageOf(blocks.Report{Damage: bad}))
		}
	}
	return nil
}

// remove removes damaged replicas that the other nodes hold whole.
func (r *Replicas) remove(ctx context.Context) error {
	r.mu.Lock()
	bad := maps.Clone(r.asked)
	for ref, why := range r.damage {
		if _, ok := bad[ref]; ok || !r.ask {
			bad[ref] = why
		}
	}
	r.mu.Unlock()
	if len(bad) == 0 || r.whole == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	not := r.whole(ctx, slices.SortedFunc(maps.Keys(bad), func(a, b api.ReplicaRef) int { return cmpRef(a, b) }))
	for ref, why := range bad {
		if err := not[ref]; err != nil {
			r.log.Error("a damaged replica is kept: the other nodes do not surely hold all of it", "account", ref.Account, "stream", ref.Stream, "error", err)
			continue
		}
		r.mu.Lock()
		r.memory.Removing = append(r.memory.Removing, ref)
		err := r.memory.save() // before the first file goes
		r.removed[ref] = why
		delete(r.damage, ref)
		r.mu.Unlock()
		if err != nil {
			return err
		}
		r.log.Warn("a damaged replica is removed; it is taken over from the other nodes", "account", ref.Account, "stream", ref.Stream, "damage", why.What)
	}
	return r.finishRemoving()
}

// finishRemoving removes the messages and the Raft group of replicas. Both go, or
// the group would say that the messages are there. What else a stream has stays.
func (r *Replicas) finishRemoving() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.memory.Removing) == 0 {
		return nil
	}
	groups, err := blocks.Groups(r.store, r.key)
	if err != nil {
		return err
	}
	for _, ref := range r.memory.Removing {
		dirs := []string{filepath.Join(r.store, ref.Account, "streams", ref.Stream, "msgs")}
		for _, g := range groups {
			if g.Account == ref.Account && g.Stream == ref.Stream {
				dirs = append(dirs, g.Dir)
			}
		}
		for _, dir := range dirs {
			if err := atomicfile.RemoveDir(dir, r.removedDir()); err != nil {
				return err
			}
		}
		delete(r.memory.Marks, ref.String())
	}
	r.memory.Removing = nil
	return errors.Join(r.memory.save(), os.RemoveAll(r.removedDir()))
}

// removedDir is where removed folders go first: each is gone as a whole or not at all.
func (r *Replicas) removedDir() string { return filepath.Join(filepath.Dir(r.memory.path), "removed") }
