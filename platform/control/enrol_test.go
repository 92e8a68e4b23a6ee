package control_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/subject"
	"midplane/tenants/account"
)

// A token makes one poller; asked again by the same key, through any node, the
// answer is the same, and no one else gets one.
func TestRedeem(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("enrol"))
	tok := mustToken(t, c, "enrol", "syd-01", 0)
	if row := tokenRow(t, c, tok); row.Status != api.TokenOpen || row.By != testcluster.Admin || row.Site != "syd" || row.Expires.Sub(row.Created) != time.Hour {
		t.Errorf("%+v", row)
	}
	key := newPair(t)
	first, err := redeem(c, 0, tok, key)
	if err != nil {
		t.Fatal(err)
	}
	if first.Tenant != "enrol" || first.Site != "syd" || first.Poller != "syd-01" || len(first.Servers) != 3 || first.Expires.IsZero() {
		t.Errorf("%+v", first)
	}
	works(t, c, first, key)
	for node := range c.Names() {
		again, err := redeem(c, node, tok, key)
		if err != nil || again.JWT != first.JWT {
			t.Errorf("the same key, node %d: %v", node+1, err)
		}
		_, err = redeem(c, node, tok, newPair(t))
		wantKind(t, "another key", err, fault.Denied)
		if err != nil && !strings.Contains(err.Error(), "used already") {
			t.Errorf("not a clear refusal: %v", err)
		}
	}
	row := tokenRow(t, c, tok)
	if row.Status != api.TokenRedeemed || row.Redeemed == nil || row.Failures != 3 {
		t.Errorf("%+v", row)
	}
	_, _, err = newToken(c, api.CreateToken{Tenant: "enrol", Poller: "syd-01"})
	wantKind(t, "a token for a poller that exists", err, fault.Conflict)
	wantKind(t, "revoke a redeemed token", do(t, c, api.TokenRevoke, api.TokenRef{ID: tok.ID}, nil), fault.Conflict)
}

// A token's credential lets its holder in to ask one thing.
func TestTokenCanDoNothingElse(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("token-only"))
	tok, other := mustToken(t, c, "token-only", "syd-01", 0), mustToken(t, c, "token-only", "syd-02", 0)
	violations := make(chan error, 64)
	nc, err := withToken(c, 0, tok, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	refused := func(what string) {
		t.Helper()
		if err := nc.FlushTimeout(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-violations:
			if !strings.Contains(strings.ToLower(err.Error()), "violation") {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: allowed", what)
		}
	}
	for _, subj := range []string{subject.EnrolOf(other.ID), "enrol.x", "enrol.>", "in.syd-01.event.info.r1.net.x.v1", "control.syd-01.config", "admin.admin.tenant.list", "$SYS.REQ.SERVER.PING", "$JS.API.INFO", "_INBOX." + tok.ID + ".x", "_INBOX." + other.ID + ".x"} {
		if err := nc.Publish(subj, []byte("x")); err != nil {
			t.Fatal(err)
		}
		refused("publish " + subj)
	}
	for _, subj := range []string{">", "enrol.*", "_INBOX.>", "_INBOX." + other.ID + ".>", "$SYS.>"} {
		if _, err := nc.SubscribeSync(subj); err != nil {
			t.Fatal(err)
		}
		refused("subscribe " + subj)
	}
	// One subscription.
	for range 2 {
		if _, err := nc.SubscribeSync("_INBOX." + tok.ID + ".x"); err != nil {
			t.Fatal(err)
		}
	}
	_ = nc.FlushTimeout(10 * time.Second) // the server may close the connection
	select {
	case err := <-violations:
		if !strings.Contains(err.Error(), "maximum subscriptions") {
			t.Errorf("a second subscription: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a second subscription: allowed")
	}
}

// The registry decides when a token is over; its credential lives a little
// longer, so that a late holder gets an answer.
func TestExpiredToken(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("late"))
	tok := mustToken(t, c, "late", "syd-01", time.Second)
	testwait.Until(t, "the token expires", func() error {
		if row := tokenRow(t, c, tok); row.Status != api.TokenExpired {
			return errNotYet
		}
		return nil
	})
	_, err := redeem(c, 1, tok, newPair(t))
	wantKind(t, "after its end", err, fault.Denied)
	if err == nil || !strings.Contains(err.Error(), "expired at") || fault.HintOf(err) == "" {
		t.Errorf("not a clear refusal: %v", err)
	}
	if row := tokenRow(t, c, tok); row.Redeemed != nil {
		t.Errorf("%+v", row)
	}
}

// In the last second of its life a token is good or it is not; there is nothing
// between, and at most one key gets it.
func TestLastSecond(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("last-second"))
	tok := mustToken(t, c, "last-second", "syd-01", 2*time.Second)
	expires := tokenRow(t, c, tok).Expires
	type try struct {
		at  time.Time
		err error
		jwt string
	}
	var mu sync.Mutex
	var tries []try
	var wg sync.WaitGroup
	// All begin before the end and go on beyond it.
	for i := range 12 {
		key := newPair(t)
		wg.Go(func() {
			for n := i; ; n++ {
				time.Sleep(max(0, time.Until(expires.Add(-time.Second))))
				out, err := redeem(c, n%3, tok, key)
				mu.Lock()
				tries = append(tries, try{time.Now(), err, out.JWT})
				mu.Unlock()
				if time.Now().After(expires.Add(500 * time.Millisecond)) {
					return
				}
			}
		})
	}
	wg.Wait()
	given := map[string]bool{}
	for _, x := range tries {
		if x.err == nil {
			given[x.jwt] = true
		} else if !fault.Is(x.err, fault.Denied) || strings.Contains(x.err.Error(), "not let in") {
			t.Errorf("%s before the end: %v", expires.Sub(x.at), x.err)
		}
	}
	t.Logf("%d tries in the last second and after it, %d identities", len(tries), len(given))
	if len(given) > 1 {
		t.Errorf("%d identities", len(given))
	}
}

// Fifty clients at once, over all nodes: one wins.
func TestEnrolmentRace(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("race"))
	const clients, rounds = 50, 4
	for round := range rounds {
		tok := mustToken(t, c, "race", "p-"+string(rune('a'+round)), 0)
		type result struct {
			key  keyPair
			out  api.Redeemed
			err  error
			took time.Duration
		}
		results := make([]result, clients)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range results {
			results[i].key = newPair(t)
			wg.Go(func() {
				<-start
				began := time.Now()
				results[i].out, results[i].err = redeem(c, i%3, tok, results[i].key)
				results[i].took = time.Since(began)
			})
		}
		close(start)
		wg.Wait()
		var winner result
		issued, refused, slowest := 0, 0, time.Duration(0)
		for _, r := range results {
			switch {
			case r.err == nil:
				issued++
				winner = r
			case fault.Is(r.err, fault.Denied) && strings.Contains(r.err.Error(), "used already"):
				refused++
			default:
				t.Errorf("round %d: %v", round, r.err)
			}
			slowest = max(slowest, r.took)
		}
		t.Logf("round %d: %d clients, %d issued, %d refused, the slowest after %s", round+1, clients, issued, refused, slowest.Round(time.Millisecond))
		if issued != 1 || refused != clients-1 {
			t.Fatalf("%d issued", issued)
		}
		works(t, c, winner.out, winner.key)
		again, err := redeem(c, round%3, tok, winner.key)
		if err != nil || again.JWT != winner.out.JWT {
			t.Errorf("the winner asks again: %v", err)
		}
	}
}

// A reply that is lost is asked for again, also when the answer was half made.
func TestLostReply(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("lost-reply"))
	for i := range 5 {
		tok := mustToken(t, c, "lost-reply", "p-"+string(rune('a'+i)), 0)
		key := newPair(t)
		nc, err := withToken(c, i%3, tok)
		if err != nil {
			t.Fatal(err)
		}
		sign, err := account.SignWith(key.seed)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*3*time.Millisecond+time.Millisecond)
		_, lost := api.Enrol(ctx, nc, tok.ID, key.public, sign)
		cancel()
		nc.Close() // what comes now finds no one
		out, err := redeem(c, (i+1)%3, tok, key)
		if err != nil {
			t.Fatalf("the first answer: %v; again: %v", lost, err)
		}
		works(t, c, out, key)
		_, err = redeem(c, i%3, tok, newPair(t))
		wantKind(t, "another key", err, fault.Denied)
	}
}
