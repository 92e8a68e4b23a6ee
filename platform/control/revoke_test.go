package control_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/tenants/account"
)

// revokeWithin is how long the last connection of a revoked user may live.
const revokeWithin = 5 * time.Second

// Revoking a user closes all its connections on every node, the ingress takes
// nothing from it, and its credentials stay dead; others notice nothing.
func TestRevokedUserIsOutEverywhere(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("revoke"))
	key, seed := newKey(t)
	creds := userWith(t, c, "revoke", account.RoleApp, "billing", key, seed, "all")
	other := c.As(t, "revoke", account.RoleProducer, "feed")
	var conns []*nats.Conn
	for node := range c.Names() {
		for range 3 {
			nc := mustAt(t, c, node, creds, "billing")
			if err := publish(nc, "billing"); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, nc)
		}
	}
	lost := make([]chan nats.Status, len(conns))
	for i, nc := range conns {
		lost[i] = nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	}
	began := time.Now()
	done := make(chan time.Duration, len(conns))
	for i := range conns {
		go func() { <-lost[i]; done <- time.Since(began) }()
	}
	gone := ask[api.Revoked](t, c, api.UserRevoke, api.UserRef{Tenant: "revoke", Name: "billing"})
	answered := time.Since(began)
	if gone.Existed || gone.Role != "app" || gone.Revoked.IsZero() {
		t.Errorf("%+v", gone)
	}
	var last time.Duration
	for range conns {
		select {
		case d := <-done:
			last = max(last, d)
		case <-time.After(patience):
			t.Fatal("a connection is still open")
		}
	}
	t.Logf("from revoke to the last of %d connections on %d nodes closed: %s; the command was answered after %s",
		len(conns), len(c.Names()), last.Round(time.Millisecond), answered.Round(time.Millisecond))
	if last > revokeWithin {
		t.Errorf("the last connection lived %s", last)
	}
	for node := range c.Names() {
		if err := refused(t, c, node, creds, "billing"); err != nil {
			t.Error(err)
		}
	}
	if err := publish(other, "feed"); err != nil {
		t.Errorf("another user of the tenant: %v", err)
	}
	// Again is the same; the name is not free, and the key never is.
	again := ask[api.Revoked](t, c, api.UserRevoke, api.UserRef{Tenant: "revoke", Name: "billing"})
	if !again.Existed || !again.Revoked.Equal(gone.Revoked) {
		t.Errorf("%+v", again)
	}
	fresh, _ := newKey(t)
	for _, k := range []string{key, fresh} {
		_, err := create(t, c.Admin, "revoke", "app", "billing", k, "all")
		if err == nil || !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Denied) {
			t.Errorf("made again: %v", err)
		}
	}
	rows := ask[api.Page[api.User]](t, c, api.UserList, api.ListRequest{Tenant: "revoke"}).Items
	if len(rows) != 2 || rows[0].Name != "billing" || rows[0].Status != api.UserRevoked || rows[1].Status != api.UserActive {
		t.Errorf("%+v", rows)
	}
	wantKind(t, "a user that is not there", do(t, c, api.UserRevoke, api.UserRef{Tenant: "revoke", Name: "missing"}, nil), fault.NotFound)
	wantKind(t, "an application as a poller", do(t, c, api.UserRevoke, api.UserRef{Tenant: "revoke", Name: "feed", Role: "poller"}, nil), fault.Conflict)
}

// A deleted user's name is free for a new key; the old key stays dead, for
// this name and for every other.
func TestDeletedUserNameIsFreeForANewKey(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("freed"))
	key, seed := newKey(t)
	old := userWith(t, c, "freed", account.RoleProducer, "feed", key, seed)
	for range 2 {
		ask[api.Revoked](t, c, api.UserDelete, api.UserRef{Tenant: "freed", Name: "feed"})
		for _, name := range []string{"feed", "other"} {
			_, err := create(t, c.Admin, "freed", "producer", name, key)
			wantKind(t, "the dead key as "+name, err, fault.Denied)
		}
		k, s := newKey(t)
		next := userWith(t, c, "freed", account.RoleProducer, "feed", k, s)
		for node := range c.Names() {
			if err := refused(t, c, node, old, "feed"); err != nil {
				t.Error(err)
			}
			if err := publish(mustAt(t, c, node, next, "feed"), "feed"); err != nil {
				t.Errorf("the new user: %v", err)
			}
		}
		key, old = k, next
	}
}

// Several users are revoked at once, through all nodes, while the tenant's
// limits change: nothing gets lost of what compare-and-set refuses.
func TestRevocationsAtOnce(t *testing.T) {
	c := cluster(t)
	spec := testcluster.Tenant("many")
	apply(t, c, spec)
	var creds []string
	for i := range 9 {
		key, seed := newKey(t)
		creds = append(creds, userWith(t, c, "many", account.RoleProducer, fmt.Sprintf("u%d", i), key, seed))
	}
	var wg sync.WaitGroup
	for i, a := range admins(t, c) {
		for j := range 3 {
			wg.Go(func() {
				testwait.Until(t, "revoked", func() error {
					ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
					defer cancel()
					return a.Do(ctx, api.UserRevoke, api.UserRef{Tenant: "many", Name: fmt.Sprintf("u%d", 3*i+j)}, nil)
				})
			})
		}
	}
	spec.Quota.Connections++
	put(t, c, spec)
	wg.Wait()
	for i, path := range creds {
		for node := range c.Names() {
			if err := refused(t, c, node, path, fmt.Sprintf("u%d", i)); err != nil {
				t.Error(err)
			}
		}
	}
}

// A revoked poller is listed as revoked.
func TestRevokedPollerIsListed(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("lost-site"))
	c.As(t, "lost-site", account.RolePoller, "syd-01")
	ask[api.Revoked](t, c, api.UserRevoke, api.UserRef{Tenant: "lost-site", Name: "syd-01", Role: "poller"})
	rows := ask[api.Page[api.Poller]](t, c, api.PollerList, api.ListRequest{Tenant: "lost-site"}).Items
	if len(rows) != 1 || rows[0].Status != api.PollerRevoked {
		t.Errorf("%+v", rows)
	}
}

// revokedWhileDown: a node that was down when a user was revoked lets no one in
// with the old credentials, from the first moment that its port answers.
func revokedWhileDown(t *testing.T, c *testcluster.Cluster) {
	apply(t, c, testcluster.Tenant("absent"))
	key, seed := newKey(t)
	creds := userWith(t, c, "absent", account.RoleProducer, "feed", key, seed)
	for node := range c.Names() {
		if err := publish(mustAt(t, c, node, creds, "feed"), "feed"); err != nil {
			t.Fatal(err)
		}
	}
	c.Stop("n2")
	ask[api.Revoked](t, c, api.UserRevoke, api.UserRef{Tenant: "absent", Name: "feed"})
	c.Stop("n3")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var mu sync.Mutex
	let, refusals := []string{}, map[int]int{}
	for _, node := range []int{1, 2} {
		for range 2 {
			go func() {
				for ctx.Err() == nil {
					nc, err := nats.Connect(c.Servers()[node], nats.UserCredentials(creds), nats.CustomInboxPrefix("_INBOX.feed"), nats.Timeout(2*time.Second))
					mu.Lock()
					if err == nil {
						let = append(let, nc.ConnectedServerName())
						nc.Close()
					} else if errors.Is(err, nats.ErrAuthorization) {
						refusals[node]++
					}
					mu.Unlock()
					time.Sleep(time.Millisecond) // the next try
				}
			}()
		}
	}
	if err := c.Start(testContext(t), "n2"); err != nil {
		t.Fatal(err)
	}
	if err := c.Node("n2").Ready(testContext(t)); err != nil {
		t.Fatal(err)
	}
	back(t, c, "n3")
	testwait.Until(t, "both ports have answered", func() error {
		mu.Lock()
		defer mu.Unlock()
		if refusals[1] == 0 || refusals[2] == 0 {
			return fmt.Errorf("%v", refusals)
		}
		return nil
	})
	stop()
	mu.Lock()
	defer mu.Unlock()
	t.Logf("refused %v times while they came up", refusals)
	if len(let) > 0 {
		t.Errorf("let in with revoked credentials: %v", let)
	}
	for node := range c.Names() {
		if err := refused(t, c, node, creds, "feed"); err != nil {
			t.Error(err)
		}
	}
}

// A node that was away when a user was revoked, and then is the first to start
// after all have stopped, has no other node to ask. It lets no one in.
func TestStaleNodeThatStartsAloneLetsNobodyIn(t *testing.T) {
	t.Parallel()
	c := testcluster.Start(t, testcluster.Options{TLS: true, NoSync: true, Pace: pace})
	apply(t, c, testcluster.Tenant("cold"))
	key, seed := newKey(t)
	creds := userWith(t, c, "cold", account.RoleProducer, "feed", key, seed)
	key, seed = newKey(t)
	good := userWith(t, c, "cold", account.RoleProducer, "other", key, seed)
	connect := func(node int, creds, user string) error {
		nc, err := nats.Connect(c.Servers()[node], nats.UserCredentials(creds), nats.CustomInboxPrefix("_INBOX."+user), nats.RootCAs(c.CAFile()), nats.Timeout(5*time.Second))
		if err == nil {
			nc.Close()
		}
		return err
	}
	for node := range c.Names() {
		if err := connect(node, creds, "feed"); err != nil {
			t.Fatal(err)
		}
	}
	c.Stop("n2")
	ask[api.Revoked](t, c, api.UserRevoke, api.UserRef{Tenant: "cold", Name: "feed"})
	c.Stop("n1")
	c.Stop("n3")
	if err := c.Start(testContext(t), "n2"); err != nil {
		t.Fatal(err)
	}
	for refusals, began := 0, time.Now(); refusals < 200; {
		switch err := connect(1, creds, "feed"); {
		case err == nil:
			t.Fatal("let in with revoked credentials")
		case strings.Contains(err.Error(), "tls: internal error"):
			refusals++
		}
		if time.Since(began) > patience {
			t.Fatalf("refused %d times only", refusals)
		}
	}
	for _, name := range []string{"n1", "n3"} {
		if err := c.Start(testContext(t), name); err != nil {
			t.Fatal(err)
		}
	}
	for node := range c.Names() {
		testwait.Until(t, "others get in", func() error {
			if connect(node, creds, "feed") == nil {
				t.Fatal("let in with revoked credentials")
			}
			return connect(node, good, "other")
		})
	}
}
