package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"

	"midplane/api"
	"midplane/internal/atomicfile"
	"midplane/platform/node/blocks"
)

// registryStream is what the other nodes are asked about, as what all must hold.
const registryStream = "KV_REGISTRY"

// prepareConsumers has the server read how far a replicated consumer is from its Raft
// log, whose entries and snapshots have checksums. The file in which the server keeps
// the same has none, and is believed before the log: with one flipped bit a replica
// takes for delivered what was not, and once it leads, the application never gets that.
//
// A log with a damaged snapshot goes, too: with it the server does not start the
// replica, and takes over nothing. What a consumer loses at most is that something was
// acknowledged; it is then delivered again.
func (r *Replicas) prepareConsumers() error {
	groups, err := blocks.ConsumerGroups(r.store, r.key)
	if err != nil {
		return err
	}
	for _, g := range groups {
		log, err := g.Log()
		if err != nil {
			return err
		}
		if !log {
			continue // the file is all there is
		}
		bad, err := g.Snapshots()
		if err != nil {
			return err
		}
		if len(bad) > 0 {
			r.log.Warn("the Raft log of a consumer is damaged; it is taken over from the other nodes", "account", g.Account, "stream", g.Stream, "consumer", g.Consumer, "damage", bad[0].What)
			if err := atomicfile.RemoveDir(g.Dir, r.removedDir()); err != nil {
				return err
			}
		}
		if err := os.Remove(g.State(r.store)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// prepareMeta removes this node's log of the meta group when its snapshot is damaged:
// with it the server does not start. The others must be there and hold the registry, as
// for a replica; else the log is kept, and the next start of the process tries again.
func (r *Replicas) prepareMeta(ctx context.Context, found []blocks.Stream) error {
	g := blocks.Meta(r.store, r.system)
	bad, err := g.Snapshots()
	if err != nil || len(bad) == 0 {
		return err
	}
	log := r.log.With("damage", bad[0].What)
	i := slices.IndexFunc(found, func(s blocks.Stream) bool { return s.Name == registryStream })
	if r.whole == nil || i < 0 {
		log.Error("the meta group's log is damaged, and there is no other node to take it over from", "page", true)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	ref := refOf(found[i])
	if err := r.whole(ctx, []api.ReplicaRef{ref})[ref]; err != nil {
		log.Error("the meta group's log is damaged, and kept: the other nodes do not surely hold all of it", "error", err, "page", true)
		return nil
	}
	log.Warn("the meta group's log is damaged and removed; it is taken over from the other nodes")
	return atomicfile.RemoveDir(g.Dir, r.removedDir())
}
