package powercut_test

import (
	"context"
	"sync"
	"testing"

	"midplane/api"
	"midplane/internal/testcluster"
	"midplane/tenants/account"
)

// All nodes come back with empty account files, as after a power cut: each
// repairs them from its own copies, and who was revoked stays out.
func TestEmptiedAccountFilesAreRepairedFromTheCopies(t *testing.T) {
	w := newWorld(t, t.TempDir(), testcluster.Options{})
	w.onboard()
	producer, inspector, thief := w.user(account.RoleProducer, feed), w.user(account.RoleInspector, "ops"), w.user(account.RoleProducer, "thief")
	w.within(patience, "an event is acknowledged", func() error { return w.publish(producer, "r1") })
	var gone api.Revoked
	if err := w.Admin.Do(context.Background(), api.UserRevoke, api.UserRef{Tenant: acme, Name: "thief"}, &gone); err != nil {
		t.Fatal(err)
	}
	w.within(patience, "the revoked user is out", func() error { return w.refused(thief, "thief") })
	w.stop()
	w.empty()
	w.start()
	if err := w.refused(thief, "thief"); err != nil {
		t.Error(err)
	}
	w.recovers(producer, inspector, "r1")
	if err := w.refused(thief, "thief"); err != nil {
		t.Error(err)
	}
	if n := w.log.counted(); len(n) > 0 {
		t.Errorf("restarted: %v", n)
	}
}

// One node has neither its account files nor its copies: it gets the JWTs from
// the others.
func TestNodeWithoutCopiesGetsTheAccountsFromItsPeers(t *testing.T) {
	w := newWorld(t, t.TempDir(), testcluster.Options{})
	w.onboard()
	producer, inspector := w.user(account.RoleProducer, feed), w.user(account.RoleInspector, "ops")
	w.within(patience, "an event is acknowledged", func() error { return w.publish(producer, "r1") })
	w.stop()
	w.empty()
	w.forgetCopies("n3")
	w.start()
	w.recovers(producer, inspector, "r1")
	w.within(patience, "n3 has what the others have", func() error {
		return w.sameAccounts("n1", "n3")
	})
	for node, n := range w.log.counted() {
		if node != "n3" || n > 1 {
			t.Errorf("%s restarted %d times", node, n)
		}
	}
	t.Logf("restarts: %v", w.log.counted())
}

// All account files are gone on all nodes, the copies too: only the registry has
// the JWTs, and it has no quorum before the nodes have started. Each node starts,
// takes them from there, and starts its server again by itself, once. It does not
// call itself healthy from then on until it serves.
func TestNodesWithoutAnyAccountFileStartTheirServersAgainOnce(t *testing.T) {
	w := newWorld(t, t.TempDir(), testcluster.Options{TLS: true})
	w.onboard()
	producer, inspector := w.user(account.RoleProducer, feed), w.user(account.RoleInspector, "ops")
	w.within(patience, "an event is acknowledged", func() error { return w.publish(producer, "r1") })
	w.stop()
	w.empty()
	for _, node := range w.Names() {
		w.forgetCopies(node)
	}
	var mu sync.Mutex
	healthy := map[string]bool{}
	w.log.also = func(node string) {
		ok := w.Node(node).Healthy(context.Background()) == nil
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		ok = ok || w.Node(node).Ready(ctx) == nil
		mu.Lock()
		defer mu.Unlock()
		healthy[node] = ok
	}
	w.start()
	w.recovers(producer, inspector, "r1")
	w.within(patience, "all nodes are healthy", func() error { return w.Healthy(context.Background()) })
	w.quiet()
	for _, node := range w.Names() {
		if n := w.log.counted()[node]; n != 1 {
			t.Errorf("%s restarted %d times", node, n)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for node, ok := range healthy {
		if ok {
			t.Errorf("%s calls itself healthy or ready while it restarts", node)
		}
	}
}

// A new tenant never makes a node start its server again, also not right after
// the node's own start, and not on a node that was away when it was made.
func TestNewTenantNeverRestartsANode(t *testing.T) {
	w := newWorld(t, t.TempDir(), testcluster.Options{})
	w.onboard()
	producer, inspector := w.user(account.RoleProducer, feed), w.user(account.RoleInspector, "ops")
	w.within(patience, "an event is acknowledged", func() error { return w.publish(producer, "r1") })
	w.Stop("n3")
	w.add("while-n3-is-away")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.Start(ctx, "n3"); err != nil {
		t.Fatal(err)
	}
	w.add("while-n3-starts")
	if err := w.Node("n3").Ready(ctx); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.start()
	w.add("after-all-have-started")
	w.recovers(producer, inspector, "r1")
	w.quiet()
	if n := w.log.counted(); len(n) > 0 {
		t.Errorf("restarted: %v", n)
	}
}
