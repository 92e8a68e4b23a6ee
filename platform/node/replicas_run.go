package node

import (
	"cmp"
	"context"
	"sync"
	"time"

	"midplane/api"
	"midplane/internal/wait"
	"midplane/platform/node/blocks"
)

const (
	// lookEvery is how often blocks are looked at that are not written any more: one
	// that has changed since it was read is read again.
	lookEvery = 10 * time.Second
	// scrubRate is how much is read in a second, in bytes: about half a percent of
	// a core.
	scrubRate = 3 << 20
	// answered is how long it takes until who asked for a repair has its answer.
	answered = time.Second
	// lookAgain is when damage is looked at again that may be the server's own work.
	lookAgain = 2 * time.Second
	// saveEvery is how often what was found is kept.
	saveEvery = 10 * time.Second
)

// Run reads the replicas' files while the server runs, again and again and slowly,
// until ctx ends. It returns ErrRepair when a replica has to be taken over.
func (r *Replicas) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var g sync.WaitGroup
	g.Go(func() { r.look(ctx) })
	g.Go(func() { r.scrub(ctx) })
	defer func() { stop(); g.Wait(); r.save() }()
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.repair:
			_ = wait.For(ctx, answered) // ctx is looked at next
			if ctx.Err() != nil {
				return nil
			}
			return ErrRepair
		case <-tick.C:
			r.save()
		}
	}
}

// look reads what has changed in blocks to which nothing is appended any more.
func (r *Replicas) look(ctx context.Context) {
	for wait.For(ctx, lookEvery) == nil {
		found, err := r.find()
		if err != nil {
			r.log.Debug("the store is not readable", "error", err)
		}
		for _, s := range found {
			if ctx.Err() == nil {
				r.verify(s, blocks.Scope{Known: r.known(s), Sealed: true, Running: lookAgain})
			}
		}
	}
}

// scrub reads everything, at scrubRate, and begins again.
func (r *Replicas) scrub(ctx context.Context) {
	pause := func(n int64) error { return wait.For(ctx, time.Duration(n)*time.Second/scrubRate) }
	for wait.For(ctx, time.Second) == nil {
		found, _ := r.find() // look says so
		for _, s := range found {
			if ctx.Err() == nil {
				r.verify(s, blocks.Scope{Pause: pause, Running: lookAgain})
			}
		}
	}
}

// save writes what is known, if it has changed, but for streams that are gone.
func (r *Replicas) save() {
	found, err := r.find()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		there := map[string]bool{}
		for _, s := range found {
			there[refOf(s).String()] = true
		}
		r.changed = r.memory.keep(there) || r.changed
	}
	if !r.changed {
		return
	}
	if err := r.memory.save(); err != nil {
		r.log.Warn("what is known about replicas is not kept", "error", err)
		return
	}
	r.changed = false
}

func cmpRef(a, b api.ReplicaRef) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Stream, b.Stream))
}
