package connections

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"midplane/fault"
	"midplane/platform/node"
	"midplane/tenants/account"
)

// world is a server of one account.
type world struct {
	meta    node.Meta
	clients []node.Client
	moved   []uint64
}

func (w *world) Meta() node.Meta { return w.meta }

func (w *world) Clients(account string) []node.Client {
	if account == "ENROL" {
		return slices.Clone(w.clients)
	}
	return nil
}

func (w *world) Move(id uint64) error {
	i := slices.IndexFunc(w.clients, func(c node.Client) bool { return c.ID == id })
	if i < 0 {
		return fault.New(fault.NotFound, "connection %d", id)
	}
	w.clients, w.moved = slices.Delete(w.clients, i, i+1), append(w.moved, id)
	return nil
}

func newMover(t *testing.T, w *world, drained *bool) *Mover {
	t.Helper()
	keys, err := account.NewKeys(account.ControlRoles)
	if err != nil {
		t.Fatal(err)
	}
	return NewMover(MoverConfig{Server: w, Move: w.Move, Tenants: func() []string { return nil }, Control: keys, Enrol: "ENROL", Drained: func() bool { return *drained }, Log: slog.New(slog.DiscardHandler)})
}

func TestMoverWaitsUntilTheQuorumIsLost(t *testing.T) {
	w, drained := &world{}, false
	m := newMover(t, w, &drained)
	now := time.Unix(1000, 0)
	w.clients = []node.Client{{ID: 1, User: "a", Issuer: "x", Start: now}, {ID: 2, User: "b", Issuer: "x", Start: now, Inside: true}, {ID: 3, Start: now}}
	for i := range withoutQuorum - 1 {
		m.look(now)
		if len(w.moved) != 0 {
			t.Fatalf("moved %v after %d looks", w.moved, i+1)
		}
	}
	w.meta.Quorum = true // an election took as long
	m.look(now)
	w.meta.Quorum = false
	for range withoutQuorum {
		m.look(now)
	}
	// Those of this process stay, and one that is still logging in.
	if !slices.Equal(w.moved, []uint64{1}) {
		t.Errorf("moved %v", w.moved)
	}
	w.meta.Quorum = true
	m.look(now)
	w.clients = append(w.clients, node.Client{ID: 4, User: "a", Issuer: "x", Start: now})
	m.look(now)
	if len(w.moved) != 1 {
		t.Errorf("moved %v with a quorum", w.moved)
	}
}

func TestOneThatComesBackStaysLonger(t *testing.T) {
	w, drained := &world{meta: node.Meta{Quorum: true}}, true
	m := newMover(t, w, &drained)
	now := time.Unix(1000, 0)
	var stayed []time.Duration
	for id := range uint64(5) {
		w.clients = []node.Client{{ID: id, User: "a", Issuer: "x", Start: now}}
		began := now
		for len(w.clients) > 0 {
			m.look(now)
			now = now.Add(time.Second)
		}
		stayed = append(stayed, now.Add(-time.Second).Sub(began))
	}
	if !slices.Equal(stayed, []time.Duration{0, 2 * time.Second, 5 * time.Second, 15 * time.Second, 15 * time.Second}) {
		t.Errorf("stayed %v", stayed)
	}
}

func TestMoverMovesInRounds(t *testing.T) {
	w, drained := &world{meta: node.Meta{Quorum: true}}, true
	m := newMover(t, w, &drained)
	now := time.Unix(1000, 0)
	for id := range uint64(movesAtOnce + 1) {
		w.clients = append(w.clients, node.Client{ID: id, User: "a", Issuer: "x", Start: now.Add(-time.Minute)})
	}
	m.look(now)
	if len(w.moved) != movesAtOnce {
		t.Errorf("%d leave at once", len(w.moved))
	}
	m.look(now)
	if len(w.moved) != movesAtOnce+1 {
		t.Errorf("%d have left", len(w.moved))
	}
}
