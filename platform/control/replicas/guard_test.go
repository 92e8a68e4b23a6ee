package replicas

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"midplane/api"
	"midplane/internal/testwait"
	"midplane/platform/node"
	"midplane/platform/registry"
)

// A node that has just started leads nothing that another one can lead better.
func TestUncomparedReplicasDoNotLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now().UTC()
	for _, x := range []struct {
		what   string
		others time.Duration // before this node did they start
		round  time.Duration // before this node did the last one end; negative: after it
		late   bool          // EVENTS could not be compared in that round
		age    time.Duration // of this node
		want   []api.ReplicaRef
	}{
		{what: "compared since", others: time.Hour, round: -time.Second, age: time.Minute},
		{what: "not compared since", others: time.Hour, round: time.Second, age: time.Second, want: []api.ReplicaRef{events}},
		{what: "one stream was not", others: time.Hour, round: -time.Second, late: true, age: time.Second, want: []api.ReplicaRef{events}},
		{what: "all started together", others: time.Second, round: time.Minute, age: time.Second},
		{what: "for a long time", others: time.Hour, round: time.Second, age: 10 * time.Minute},
	} {
		started := now.Add(-x.age)
		for _, name := range []string{"n2", "n3"} {
			at := started.Add(-x.others)
			w.reg.Say(registry.NodeKey(name), registry.Presence{Name: name, Started: &at})
		}
		own := w.owns["n1"]
		own.set(events, func(h *api.HeldReplica) { h.Leads = true })
		c := compared{At: started.Add(-x.round)}
		if x.late {
			c.Late = map[string]time.Time{events.String(): started.Add(-time.Minute)}
		}
		w.reg.Say(keyReplicas, c)
		r := New(Config{Node: "n1", Registry: w.reg.Registry, Dialer: connector{w.reg}, Own: own, Log: slog.New(slog.DiscardHandler)})
		defer r.Close()
		r.started = started
		testwait.Until(t, x.what, func() error {
			if got := r.uncompared(now); !slices.Equal(got, x.want) {
				return fmt.Errorf("%v, want %v", got, x.want)
			}
			return nil
		})
	}
}

// What may not lead is handed over, with its consumers, whoever's it is.
func TestWhatDiffersIsHandedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stays := node.Led{Account: "A", Stream: state.Stream}
	d := &duties{leads: []node.Led{{Account: "A", Stream: events.Stream}, {Account: "A", Stream: events.Stream, Consumer: "feed"}, stays}}
	r := New(Config{Node: "n1", Registry: w.reg.Registry, Dialer: connector{w.reg}, Own: w.owns["n1"], Duties: d, Log: slog.New(slog.DiscardHandler)})
	defer r.Close()
	f := Finding{Account: "A", Stream: events.Stream, Node: "n1"}
	w.reg.Say(keyReplicas, compared{Findings: map[string]Finding{f.key(): f}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Guard(ctx) }()
	testwait.Until(t, "handed over", func() error {
		if got := d.Leads(); !slices.Equal(got, []node.Led{stays}) {
			return fmt.Errorf("it leads %v", got)
		}
		return nil
	})
	cancel()
	<-done
}
