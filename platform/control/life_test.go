package control_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus"
	"midplane/bus/renew"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/telemetry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// shortLife is how long the JWTs of these tests live.
const shortLife = 16 * time.Second

// What users' JWTs live, and how they are renewed, against real nodes.
func TestLives(t *testing.T) {
	t.Parallel()
	short := pace
	short.Life = shortLife
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: short})
	spec := testcluster.Tenant("lives")
	spec.Subscriptions = append(spec.Subscriptions, tenants.Subscription{Application: "billing", Name: "more", Stream: "STATE"})
	apply(t, c, spec)
	for _, part := range []struct {
		name string
		test func(*testing.T, *testcluster.Cluster)
	}{
		{"lives by role", livesByRole},
		{"a connection is renewed without a gap, and what ended is dead", renewedWithoutAGap},
		{"no JWT that is signed while its user is revoked lives", renewedWhileRevoked},
		{"a renewed JWT has the subscriptions of the moment", renewedSubscriptions},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, c) })
	}
}

func livesByRole(t *testing.T, c *testcluster.Cluster) {
	ctx := testContext(t)
	for _, x := range []struct {
		role string
		ttl  time.Duration
		want time.Duration // 0: refused
	}{
		{"poller", 0, shortLife}, {"app", 0, shortLife}, {"inspector", 0, shortLife},
		{"poller", time.Hour, 0}, {"app", time.Hour, 0}, {"inspector", time.Hour, 0},
		{"producer", 0, 365 * 24 * time.Hour}, {"reader", 0, 365 * 24 * time.Hour},
		{"producer", time.Hour, time.Hour}, {"reader", 48 * time.Hour, 48 * time.Hour},
		{"producer", -time.Hour, 0}, {"producer", 20 * 365 * 24 * time.Hour, 0},
	} {
		what := fmt.Sprintf("%s, %s", x.role, x.ttl)
		name := fmt.Sprintf("u-%s-%d", x.role, int(x.ttl.Hours()))
		if x.role == "poller" {
			name = "syd-01"
		}
		if x.want == 0 {
			name = "refused"
			if x.role == "poller" {
				name = "syd-01"
			}
		}
		key, seed := newKey(t)
		var u api.CreatedUser
		before := time.Now()
		err := c.Admin.Do(ctx, api.UserCreate, api.CreateUser{Tenant: "lives", Name: name, Role: x.role, PublicKey: key, Subscriptions: []string{}, TTL: api.Duration(x.ttl)}, &u)
		if x.want == 0 {
			wantKind(t, what, err, fault.Invalid)
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		data, err := account.FormatCreds(u.JWT, seed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := account.ReadCreds(data)
		if err != nil || !got.Expires.Equal(u.Expires) {
			t.Fatalf("%s: %v, %v", what, err, u.Expires)
		}
		if early, late := before.Add(x.want-2*time.Second), time.Now().Add(x.want); got.Expires.Before(early) || got.Expires.After(late) {
			t.Errorf("%s: expires %s, want between %s and %s", what, got.Expires, early, late)
		}
	}
}

func renewedWithoutAGap(t *testing.T, c *testcluster.Cluster) {
	key, seed := newKey(t)
	creds := userWith(t, c, "lives", account.RoleApp, "steady", key, seed)
	first, err := os.ReadFile(creds)
	if err != nil {
		t.Fatal(err)
	}
	var lost atomic.Int64
	var mu sync.Mutex
	var used []*nats.Conn
	conn, err := renew.Open(bus.Config{Servers: c.Servers(), User: "steady", Name: "steady", CredsFile: creds, MaxWait: patience,
		Options: []nats.Option{nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			mu.Lock()
			defer mu.Unlock()
			// One that another has taken over from may end as it likes.
			if err != nil && (len(used) == 0 || used[len(used)-1] == nc) {
				lost.Add(1)
			}
		})}}, telemetry.Nop(), func(nc *nats.Conn) error {
		mu.Lock()
		defer mu.Unlock()
		used = append(used, nc)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- conn.Run(ctx) }()
	sent, failed := 0, 0
	testwait.Until(t, "three connections", func() error {
		// A slow machine is no gap; a connection that is not there is one.
		if err := publish(conn.NATS(), "steady"); errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionDraining) {
			failed++
			t.Logf("message %d: %v", sent, err)
		}
		sent++
		mu.Lock()
		defer mu.Unlock()
		if len(used) < 3 {
			return fmt.Errorf("%d connections", len(used))
		}
		return nil
	})
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	conn.Close()
	t.Logf("%d messages over %d connections, %d lost connections, %d failures", sent, len(used), lost.Load(), failed)
	if lost.Load() > 0 || failed > 0 {
		t.Error("there was a gap")
	}
	old := t.TempDir() + "/old.creds"
	if err := os.WriteFile(old, first, 0o600); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "the first credentials have ended", func() error { return refused(t, c, 0, old, "steady") })
	was, err := renew.Read(old)
	if err != nil || time.Now().Before(was.Expires) {
		t.Errorf("refused before its end: %+v, %v", was, err)
	}
	// No user renews for another, nor with a key that is not known.
	nc := mustAt(t, c, 1, creds, "steady")
	_, strange := newKey(t)
	sign, err := account.SignWith(strange)
	if err != nil {
		t.Fatal(err)
	}
	rctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	wantKind(t, "another key", api.NewChannel(nc, "steady", sign).Do(rctx, api.ChannelRenew, api.RenewRequest{}, nil), fault.Denied)
	// Once they have ended, an operator can give a new life to the same key.
	testwait.Until(t, "the last have ended", func() error { return refused(t, c, 2, creds, "steady") })
	again := userWith(t, c, "lives", account.RoleApp, "steady", key, seed)
	if err := publish(mustAt(t, c, 2, again, "steady"), "steady"); err != nil {
		t.Error(err)
	}
}

func renewedWhileRevoked(t *testing.T, c *testcluster.Cluster) {
	key, seed := newKey(t)
	creds := userWith(t, c, "lives", account.RoleInspector, "spy", key, seed)
	sign, err := account.SignWith(seed)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	tokens := map[string]bool{}
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	for node := range c.Names() {
		nc := mustAt(t, c, node, creds, "spy")
		wg.Go(func() {
			for ctx.Err() == nil {
				var out api.Renewed
				rctx, cancel := context.WithTimeout(ctx, 2*time.Second)
				err := api.NewChannel(nc, "spy", sign).Do(rctx, api.ChannelRenew, api.RenewRequest{}, &out)
				cancel()
				if err == nil {
					mu.Lock()
					tokens[out.JWT] = true
					mu.Unlock()
					if late := time.Now().Add(shortLife); out.Expires.After(late) {
						t.Errorf("it lives until %s, and may until %s", out.Expires, late)
					}
				}
			}
		})
	}
	testwait.Until(t, "renewed", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(tokens) < 1 {
			return errors.New("not yet")
		}
		return nil
	})
	for _, a := range admins(t, c)[:1] {
		if err := a.Do(testContext(t), api.UserRevoke, api.UserRef{Tenant: "lives", Name: "spy"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	wg.Wait()
	t.Logf("%d JWTs were given while the user was being revoked", len(tokens))
	path := t.TempDir() + "/spy.creds"
	for token := range tokens {
		data, err := account.FormatCreds(token, seed)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for node := range c.Names() {
			if err := refused(t, c, node, path, "spy"); err != nil {
				t.Error(err)
			}
		}
	}
	_, err = create(t, c.Admin, "lives", "inspector", "spy", key)
	if err == nil {
		t.Error("a revoked key is given a JWT")
	}
}

func renewedSubscriptions(t *testing.T, c *testcluster.Cluster) {
	key, seed := newKey(t)
	creds := userWith(t, c, "lives", account.RoleApp, "billing", key, seed, "all")
	now := func() []string {
		t.Helper()
		nc := mustAt(t, c, 0, creds, "billing")
		defer nc.Close()
		testwait.Until(t, "renewed", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_, err := renew.Once(ctx, nc, creds)
			return err
		})
		data, err := os.ReadFile(creds)
		if err != nil {
			t.Fatal(err)
		}
		got, err := account.ReadCreds(data)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got.Subs)
		return got.Subs
	}
	ref := api.Subscribe{Tenant: "lives", Name: "billing", Subscription: "more"}
	for _, step := range []struct {
		verb    string
		existed bool
		want    []string
	}{
		{api.UserSubscribe, false, []string{"all", "more"}},
		{api.UserSubscribe, true, []string{"all", "more"}},
		{api.UserUnsubscribe, false, []string{"all"}},
		{api.UserUnsubscribe, true, []string{"all"}},
		{api.UserSubscribe, false, []string{"all", "more"}},
	} {
		got := ask[api.Subscribed](t, c, step.verb, ref)
		if got.Existed != step.existed || !slices.Equal(got.Subscriptions, step.want) || !got.Renews || got.PublicKey != key {
			t.Errorf("%s: %+v", step.verb, got)
		}
		if subs := now(); !slices.Equal(subs, step.want) {
			t.Errorf("%s: the JWT has %v, want %v", step.verb, subs, step.want)
		}
	}
	wantKind(t, "one that is not declared", do(t, c, api.UserSubscribe, api.Subscribe{Tenant: "lives", Name: "billing", Subscription: "most"}, nil), fault.NotFound)
	wantKind(t, "of a user that is not there", do(t, c, api.UserSubscribe, api.Subscribe{Tenant: "lives", Name: "missing", Subscription: "all"}, nil), fault.NotFound)
	wantKind(t, "a poller's", do(t, c, api.UserSubscribe, api.Subscribe{Tenant: "lives", Name: "syd-01", Subscription: "all"}, nil), fault.Invalid)
	// No longer declared: gone from the JWT.
	apply(t, c, testcluster.Tenant("lives"))
	if subs := now(); !slices.Equal(subs, []string{"all"}) {
		t.Errorf("the JWT has %v", subs)
	}
}
