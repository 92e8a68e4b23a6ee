package replicas

import (
	"maps"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testregistry"
	"midplane/platform/control/service"
)

var damaged = &api.ReplicaDamage{What: "1.blk at 12", From: 5, To: 9}

func TestEqualReplicasAreCompared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.auditor(false)
	w.round(a)
	if len(a.state.Findings)+len(a.state.Late) > 0 || a.state.comparedAt(events) == nil {
		t.Errorf("%+v", a.state)
	}
}

// A replica whose files are damaged is found, its node is asked to repair it when
// the others have read theirs, and when all are equal the finding is gone.
func TestADamagedReplicaIsRepaired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.auditor(false)
	n2 := w.owns["n2"]
	n2.set(events, func(h *api.HeldReplica) { h.Damage = damaged })
	w.round(a)
	if got := w.repaired(events); len(got) != 1 || got[0] != "n2" || w.owns["n1"].verified == 0 {
		t.Fatalf("asked to repair: %v, after %d verifications", got, w.owns["n1"].verified)
	}
	if !maps.Equal(facts(a), map[string]bool{"EVENTS/n2": true}) {
		t.Errorf("%v", a.state.Findings)
	}
	// It begins a moment later, and is not asked again meanwhile.
	w.round(a)
	if got := w.repaired(events); len(got) != 1 {
		t.Errorf("asked to repair: %v", got)
	}
	n2.set(events, func(h *api.HeldReplica) {
		h.Damage, h.Removed, h.Messages, h.Last, h.Current = nil, damaged, 40, 40, false
	})
	w.round(a)
	if !maps.Equal(facts(a), map[string]bool{"EVENTS/n2": true}) {
		t.Errorf("while it is taken over: %v", a.state.Findings)
	}
	n2.set(events, func(h *api.HeldReplica) { h.Messages, h.Last, h.Current = 100, 100, true })
	w.round(a)
	if len(a.state.Findings) > 0 {
		t.Errorf("when all are equal: %v", a.state.Findings)
	}
	if h := n2.Held([]api.ReplicaRef{events}); h[0].Removed != nil {
		t.Error("the node does not know that its repair is over")
	}
	if got := w.repaired(events); len(got) != 1 {
		t.Errorf("asked to repair: %v", got)
	}
}

// A node that removed its replica when it started is shown, also when it was equal
// to the others again before anyone looked.
func TestARemovedReplicaIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.auditor(false)
	w.owns["n3"].set(state, func(h *api.HeldReplica) { h.Removed = damaged })
	w.round(a)
	if !maps.Equal(facts(a), map[string]bool{"STATE/n3": true}) {
		t.Errorf("%v", a.state.Findings)
	}
	w.owns["n3"].set(state, func(h *api.HeldReplica) { h.Removed = damaged }) // as until all are told
	w.round(w.auditor(false))                                                 // another leader goes on
	if got := load(w.reg.Registry); len(got.Findings) > 0 {
		t.Errorf("%v", got.Findings)
	}
	if got := w.repaired(state); len(got) > 0 {
		t.Errorf("asked to repair: %v", got)
	}
}

// What is not whole without doubt is not touched.
func TestNothingIsRepairedOnOneCopy(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		what  string
		ask   bool
		set   func(w *world)
		waits string
	}{
		{what: "another is damaged", set: func(w *world) { w.owns["n1"].set(events, func(h *api.HeldReplica) { h.Damage = damaged }) }, waits: "damaged as well"},
		{what: "another turns out to be", set: func(w *world) { w.owns["n1"].bad[events] = true }, waits: "damaged as well"},
		{what: "a node does not answer", set: func(w *world) { w.stops["n3"]() }, waits: "not all nodes"},
		{what: "a node does not have it", set: func(w *world) { delete(w.owns["n3"].held, events) }, waits: "not all nodes"},
		{what: "an operator decides", ask: true, set: func(*world) {}, waits: "replica repair"},
	} {
		t.Run(x.what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.owns["n2"].set(events, func(h *api.HeldReplica) { h.Damage = damaged })
			x.set(w)
			a := w.auditor(x.ask)
			w.round(a)
			if got := w.repaired(events); len(got) > 0 {
				t.Errorf("asked to repair: %v", got)
			}
			f := a.state.Findings[Finding{Account: "A", Stream: events.Stream, Node: "n2"}.key()]
			if f.Repairing || !strings.Contains(f.Waits, x.waits) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// Counts are taken while messages flow: only two rounds in a row are believed.
func TestCountsAreBelievedTheSecondTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.auditor(false)
	looks := func(n uint64) {
		w.live()
		w.owns["n1"].set(state, func(h *api.HeldReplica) { h.Messages = n })
		s, err := a.look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a.judge(t.Context(), time.Now(), s)
	}
	for _, n := range []uint64{60, 100, 60} {
		if looks(n); len(a.state.Findings) > 0 {
			t.Fatalf("found: %v", a.state.Findings)
		}
	}
	looks(60)
	if !maps.Equal(facts(a), map[string]bool{"STATE/n1": false}) {
		t.Errorf("the second time: %v", a.state.Findings)
	}
}

func TestOneNodeAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.auditor(false)
	w.owns["n1"].set(state, func(h *api.HeldReplica) { h.Messages = 60 })
	w.owns["n2"].set(events, func(h *api.HeldReplica) { h.Damage = damaged })
	for range 3 {
		w.round(a)
	}
	if one, two := w.repaired(events), w.repaired(state); len(one)+len(two) != 1 {
		t.Errorf("asked to repair: %v and %v", one, two)
	}
	if got := facts(a); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

// A node whose server does not run its replica at all is asked to take it over, once
// that has lasted, and when the others have read their files.
func TestAnAbsentReplicaIsRepaired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.auditor(false)
	n2 := w.owns["n2"]
	was := n2.held[events]
	delete(n2.held, events)
	w.round(a)
	if got := w.repaired(events); len(got) > 0 || len(a.state.Findings) > 0 {
		t.Fatalf("asked at once: %v, %v", got, a.state.Findings)
	}
	key := Finding{Account: "A", Stream: events.Stream, Node: "n2"}.key()
	a.missing[key] = a.missing[key].Add(-absentFor)
	w.round(a)
	if got := w.repaired(events); len(got) != 1 || got[0] != "n2" || w.owns["n1"].verified == 0 {
		t.Fatalf("asked to repair: %v, after %d verifications", got, w.owns["n1"].verified)
	}
	n2.mu.Lock()
	n2.held[events] = was
	n2.mu.Unlock()
	w.round(a)
	if len(a.state.Findings) > 0 {
		t.Errorf("when it is there again: %v", a.state.Findings)
	}
}

// Counts are equal, and what is counted is not.
func TestOtherContentIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.auditor(false)
	for _, o := range w.owns {
		o.sums[events] = 7
	}
	w.owns["n3"].sums[events] = 8
	w.round(a)
	if len(a.state.Findings) > 0 {
		t.Fatalf("believed at once: %v", a.state.Findings)
	}
	a.earlier(contentLasts)
	w.round(a)
	if got := w.repaired(events); len(got) != 1 || got[0] != "n3" {
		t.Fatalf("asked to repair: %v; %v", got, a.state.Findings)
	}
	w.round(a)
	if got := w.repaired(events); len(a.state.Findings) != 1 || len(got) != 1 {
		t.Fatalf("equal counts ended a finding about content: %v, asked %v", a.state.Findings, got)
	}
	w.owns["n3"].sums[events] = 7
	w.round(a)
	if len(a.state.Findings) != 0 {
		t.Errorf("%v", a.state.Findings)
	}
}

// earlier has what differs do so for longer.
func (a *Auditor) earlier(d time.Duration) {
	for key, at := range a.differ {
		a.differ[key] = at.Add(-d)
	}
}

// What differs once, and is equal in between, is a server at work.
func TestOtherContentOfAMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.auditor(false)
	for _, sum := range []uint64{8, 0, 8} {
		w.owns["n3"].sums[events] = sum
		w.round(a)
		a.earlier(contentLasts)
	}
	if got := w.repaired(events); len(got) > 0 || len(a.state.Findings) > 0 {
		t.Errorf("asked to repair: %v; %v", got, a.state.Findings)
	}
}

// A primary has the role that nodes ask with, and may not have a replica removed.
func TestOnlyNodesAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, h := range map[string]api.Handler{"replicas": service.Handle(w.room.Here), "verify": service.Handle(w.room.VerifyHere),
		"repair": service.Handle(w.room.RepairHere), "sum": service.Handle(w.room.SumHere)} {
		if _, err := h(t.Context(), "core.core-1."+name, []byte(`{"node":"n1"}`)); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := w.owns["n1"].asked(); len(got) > 0 {
		t.Errorf("asked to repair: %v", got)
	}
}

// What a starting node is told by the others.
func TestPeersAreWhole(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		what string
		set  func(w *world)
		ok   bool
	}{
		{what: "whole", set: func(*world) {}, ok: true},
		{what: "one lacks something", set: func(w *world) { w.owns["n1"].set(state, func(h *api.HeldReplica) { h.Messages = 90 }) }},
		{what: "one is behind", set: func(w *world) {
			w.owns["n1"].set(state, func(h *api.HeldReplica) { h.Last, h.Current = 90, false })
		}},
		{what: "states flow", set: func(w *world) { w.owns["n1"].set(state, func(h *api.HeldReplica) { h.Last = 103 }) }, ok: true},
		{what: "the files of one are damaged", set: func(w *world) { w.owns["n2"].bad[state] = true }},
		{what: "one does not answer", set: func(w *world) { w.stops["n2"]() }},
		{what: "one does not have it", set: func(w *world) { delete(w.owns["n2"].held, state) }},
	} {
		t.Run(x.what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.stops["n3"]() // it is about to start
			x.set(w)
			nc := testregistry.Connect(w.reg)
			p := Peers{Servers: []string{"a", "b"}}
			if err := p.holds(t.Context(), nc, state); (err == nil) != x.ok {
				t.Errorf("%v", err)
			}
		})
	}
	if not := (Peers{Servers: []string{"nats://127.0.0.1:1"}}).Whole(t.Context(), []api.ReplicaRef{state}); !fault.Is(not[state], fault.Unavailable) {
		t.Errorf("nobody there: %v", not)
	}
}
