package repair

import (
	"context"
	"time"

	"midplane/primary/fold"
	"midplane/primary/store"
)

// sweep has every lane with a heartbeat compared once after a start: what was found
// equal before is not known any more.
type sweep struct {
	limit int // lanes at once
	after store.DeviceLane
	done  bool
}

// some makes the next lanes due, unless those before still wait.
func (s *sweep) some(ctx context.Context, r *Repairer) {
	if s.done || r.waiting() >= s.limit*patience {
		return
	}
	lanes, err := r.store.Beating(ctx, s.after, s.limit)
	if err != nil {
		if ctx.Err() == nil {
			r.tel.Log.Warn("devices are not compared after the start, trying again", "error", err)
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range lanes {
		s.after = id
		if r.lanes[id] != nil {
			continue // a heartbeat came
		}
		l := r.add(id)
		l.touch(fold.Touched{States: true}, time.Now(), r.cfg.Stand)
		l.beaten = true // whether a poller can answer is not known: it is asked once
		r.pending[id] = l
	}
	s.done = len(lanes) < s.limit
}

// waiting is how many lanes are to be compared.
func (r *Repairer) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pending)
}
