package lab

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"midplane/api"
	"midplane/internal/wait"
)

// Fault is something that is done to a deployment, or undone.
type Fault interface {
	Do(ctx context.Context, w *World) error
}

// Who says which nodes a fault is for: one of the words below, or a node's name.
type Who string

// The words. A word other than victim and all chooses a node, which is the victim
// of the steps that follow.
const (
	Leader   Who = "leader"   // of EVENTS
	Follower Who = "follower" // of EVENTS, either
	Any      Who = "any"
	Victim   Who = "victim"
	Others   Who = "others" // than the victim
	All      Who = "all"    // in a random order
)

// choose turns a word into names.
func (w *World) choose(ctx context.Context, who Who) ([]string, error) {
	switch who {
	case All:
		out := append([]string(nil), w.sys.Nodes...)
		w.random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		return out, nil
	case Victim:
		if w.victim == "" {
			return nil, fmt.Errorf("no step has chosen a node")
		}
		return []string{w.victim}, nil
	case Others:
		return othersThan(w, w.victim), nil
	case Any:
		w.victim = w.sys.Nodes[w.random.IntN(len(w.sys.Nodes))]
	case Leader, Follower:
		leader, err := w.leader(ctx)
		if err != nil {
			return nil, err
		}
		w.victim = leader
		if who == Follower {
			others := othersThan(w, leader)
			w.victim = others[w.random.IntN(len(others))]
		}
	default:
		w.victim = string(who)
	}
	return []string{w.victim}, nil
}

func othersThan(w *World, than string) (out []string) {
	for _, n := range w.sys.Nodes {
		if n != than {
			out = append(out, n)
		}
	}
	return out
}

// Pick chooses the victim, and does nothing to it.
type Pick struct{ Who Who }

// Do chooses.
func (f Pick) Do(ctx context.Context, w *World) error {
	_, err := w.choose(ctx, f.Who)
	return err
}

// Kill ends nodes at once.
type Kill struct{ Who Who }

// Do kills.
func (f Kill) Do(ctx context.Context, w *World) error {
	var gone sync.WaitGroup
	defer gone.Wait()
	return w.each(ctx, f.Who, "kill", func(n string) error {
		gone.Go(func() { w.sys.Kill(n) })
		return nil
	})
}

// Stop asks nodes to end, as an operator does.
type Stop struct{ Who Who }

// Do stops.
func (f Stop) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, "stop", func(n string) error {
		w.sys.Stop(n)
		return nil
	})
}

// Start starts nodes that are down.
type Start struct{ Who Who }

// Do starts.
func (f Start) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, "start", w.startNode)
}

// Pause stops nodes without ending them (SIGSTOP).
type Pause struct{ Who Who }

// Do pauses.
func (f Pause) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, "pause", func(n string) error { return w.sys.Signal(n, syscall.SIGSTOP) })
}

// Resume lets paused nodes go on.
type Resume struct{ Who Who }

// Do resumes.
func (f Resume) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, "resume", func(n string) error { return w.sys.Signal(n, syscall.SIGCONT) })
}

// Cut makes the network between nodes and all others silent: what they send, what
// they should get, or both.
type Cut struct {
	Who     Who
	In, Out bool
}

// Do cuts.
func (f Cut) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, fmt.Sprintf("cut (in %v, out %v)", f.In, f.Out), func(n string) error {
		w.network(n, func(in, out *direction) {
			in.cut(f.In)
			out.cut(f.Out)
		})
		return nil
	})
}

// Slow delays everything between nodes and all others.
type Slow struct {
	Who           Who
	Delay, Jitter time.Duration
}

// Do delays.
func (f Slow) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, fmt.Sprintf("delay by %s ± %s", f.Delay, f.Jitter), func(n string) error {
		w.network(n, func(in, out *direction) {
			in.slow(f.Delay, f.Jitter)
			out.slow(f.Delay, f.Jitter)
		})
		return nil
	})
}

// Heal takes all faults of the network away.
type Heal struct{}

// Do heals.
func (Heal) Do(_ context.Context, w *World) error {
	w.note("heal the network")
	for _, k := range w.links {
		for _, d := range []*direction{&k.there, &k.back} {
			d.cut(false)
			d.slow(0, 0)
		}
	}
	return nil
}

// Wait does nothing for a while.
type Wait time.Duration

// Do waits.
func (f Wait) Do(ctx context.Context, _ *World) error { return wait.For(ctx, time.Duration(f)) }

// Whole waits until every replica of the tenant's streams is current.
type Whole struct{}

// Do waits.
func (Whole) Do(ctx context.Context, w *World) error {
	if err := w.sys.Await(ctx, w.whole); err != nil {
		return err
	}
	w.note("every replica is current")
	return nil
}

// Says waits until status names a problem by its code.
type Says struct{ Code api.Code }

// Do waits.
func (f Says) Do(ctx context.Context, w *World) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := w.sys.Await(ctx, func(ctx context.Context) error {
		out, err := w.sys.Run(ctx, "status", "-v")
		if err == nil && !strings.Contains(string(out), "("+string(f.Code)+")") {
			err = fmt.Errorf("status does not say %s: %s", f.Code, out)
		}
		return err
	})
	if err == nil {
		w.note("status says %s", f.Code)
	}
	return err
}

// Well waits until status finds nothing wrong.
type Well struct{}

// Do waits.
func (Well) Do(ctx context.Context, w *World) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := w.sys.Await(ctx, w.well); err != nil {
		return err
	}
	w.note("nothing is wrong")
	return nil
}

// each does f to every node that is meant.
func (w *World) each(ctx context.Context, who Who, what string, f func(node string) error) error {
	nodes, err := w.choose(ctx, who)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for _, n := range nodes {
		w.note("%s %s", what, n)
		if err := f(n); err != nil {
			return fmt.Errorf("%s %s: %w", what, n, err)
		}
	}
	return nil
}

// network does f to both directions of every way between a node and another; in is
// what the node gets, out is what it sends.
func (w *World) network(node string, f func(in, out *direction)) {
	for way, k := range w.links {
		switch node {
		case way.from:
			f(&k.back, &k.there)
		case way.to:
			f(&k.there, &k.back)
		}
	}
}
