package node

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"midplane/fault"
	"midplane/internal/wait"
)

// enabledEvery is how often it is looked whether the server still keeps streams.
const enabledEvery = time.Second

// presenceTakes is longer than it takes to say that in the node's presence.
const presenceTakes = 2500 * time.Millisecond

// disabled returns what ends a node whose server has given JetStream up, which
// it does when it cannot write: it serves on without any stream, and does not
// begin again by itself when there is room. A supervisor's new start does.
func (n *Node) disabled(ctx context.Context, srv *server.Server) <-chan error {
	out := make(chan error, 1)
	go func() {
		tick := time.NewTicker(enabledEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if !srv.JetStreamEnabled() {
				if !n.leaving.Load() {
					n.unwritable.Store(true)
					_ = wait.For(ctx, presenceTakes) // the others learn why this node ends
				}
				out <- fault.WithHint(fault.New(fault.Exhausted, "node %s: JetStream can no longer write to %s", n.cfg.Name, n.opts.StoreDir),
					"is the disk full? make room there, then start the node again: it catches up with the others")
				return
			}
		}
	}()
	return out
}

// fatalError classifies what the server cannot go on with.
func fatalError(text string) error {
	switch {
	case strings.Contains(text, "address already in use"):
		return fault.WithHint(fault.New(fault.Conflict, "%s", text), "perhaps another midplane: stop it, or choose other ports")
	case strings.Contains(text, "cannot assign requested address"):
		return fault.WithHint(fault.New(fault.Invalid, "%s", text), "it is no address of this machine")
	case strings.Contains(text, "no space left on device"):
		return fault.WithHint(fault.New(fault.Exhausted, "%s", text), "make room on that disk, then start again")
	case strings.Contains(text, "permission denied"):
		return fault.WithHint(fault.New(fault.Denied, "%s", text), "the node must own its data folder")
	}
	return fault.New(fault.Other, "%s", text)
}
