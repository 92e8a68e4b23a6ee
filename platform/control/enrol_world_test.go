package control_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/telemetry"
	"midplane/tenants/account"
	"midplane/tenants/enrol"
)

// newToken has a token made as the command line does.
func newToken(c *testcluster.Cluster, req api.CreateToken) (enrol.Token, api.CreatedToken, error) {
	key, seed, err := account.NewUserKey()
	if err != nil {
		return enrol.Token{}, api.CreatedToken{}, err
	}
	req.PublicKey = key
	var made api.CreatedToken
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Admin.Do(ctx, api.TokenCreate, req, &made); err != nil {
		return enrol.Token{}, made, err
	}
	tok := enrol.Token{Tenant: event.Tenant(req.Tenant), Poller: event.Producer(req.Poller), Servers: made.Servers, JWT: made.JWT, Seed: seed}
	text, err := tok.Encode()
	if err == nil {
		tok, err = enrol.Parse(text)
	}
	return tok, made, err
}

func mustToken(t *testing.T, c *testcluster.Cluster, tenant, poller string, ttl time.Duration) enrol.Token {
	t.Helper()
	tok, _, err := newToken(c, api.CreateToken{Tenant: tenant, Poller: poller, TTL: api.Duration(ttl)})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

var errNotYet = errors.New("not yet")

// keyPair is a poller's own key.
type keyPair struct {
	public string
	seed   []byte
}

func newPair(t *testing.T) keyPair {
	t.Helper()
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{key, seed}
}

// withToken connects with a token's credential to one node.
func withToken(c *testcluster.Cluster, node int, tok enrol.Token, opts ...nats.Option) (*nats.Conn, error) {
	sign, err := account.SignWith(tok.Seed)
	if err != nil {
		return nil, err
	}
	return bus.Connect(bus.Config{Servers: c.Servers()[node : node+1], User: tok.ID, Name: "test", JWT: tok.JWT, Sign: sign, CAFile: c.CAFile(), MaxWait: time.Second,
		Options: append([]nats.Option{nats.NoReconnect()}, opts...)}, telemetry.Nop())
}

// redeem asks as often as there is no answer.
func redeem(c *testcluster.Cluster, node int, tok enrol.Token, key keyPair) (api.Redeemed, error) {
	sign, err := account.SignWith(key.seed)
	if err != nil {
		return api.Redeemed{}, err
	}
	var last error
	for began := time.Now(); time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
		nc, err := withToken(c, node, tok)
		if fault.Is(err, fault.Denied) {
			return api.Redeemed{}, fmt.Errorf("not let in: %w", err)
		}
		if last = err; err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		closed := nc.StatusChanged(nats.CLOSED)
		go func() {
			select {
			case <-closed:
				cancel()
			case <-ctx.Done():
			}
		}()
		out, err := api.Enrol(ctx, nc, tok.ID, key.public, sign)
		lost := ctx.Err() != nil
		cancel()
		nc.Close()
		if err == nil || !lost && !fault.Is(err, fault.Unavailable) {
			return out, err
		}
		last = err
	}
	return api.Redeemed{}, last
}

func tokenRow(t *testing.T, c *testcluster.Cluster, tok enrol.Token) api.Token {
	t.Helper()
	for _, row := range ask[api.Page[api.Token]](t, c, api.TokenList, api.ListRequest{Tenant: string(tok.Tenant)}).Items {
		if row.ID == tok.ID {
			return row
		}
	}
	t.Fatalf("token %s is not listed", tok.ID)
	return api.Token{}
}

func pollerRow(t *testing.T, c *testcluster.Cluster, tenant, name string) api.Poller {
	t.Helper()
	for _, row := range ask[api.Page[api.Poller]](t, c, api.PollerList, api.ListRequest{Tenant: tenant}).Items {
		if row.ID == name {
			return row
		}
	}
	t.Fatalf("poller %s/%s is not listed", tenant, name)
	return api.Poller{}
}

// credsOf checks that a redeemed answer is an identity that the cluster takes.
func works(t *testing.T, c *testcluster.Cluster, got api.Redeemed, key keyPair) {
	t.Helper()
	nc, err := asPoller(c, got, key)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sign, err := account.SignWith(key.seed)
	if err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "the poller gets its configuration", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		var cfg api.PollerConfig
		err := api.NewChannel(nc, got.Poller, sign).Do(ctx, api.ChannelConfig, api.ConfigRequest{}, &cfg)
		if err == nil && string(cfg.Poller) != got.Poller {
			err = fmt.Errorf("%+v", cfg)
		}
		return err
	})
}

func asPoller(c *testcluster.Cluster, got api.Redeemed, key keyPair) (*nats.Conn, error) {
	sign, err := account.SignWith(key.seed)
	if err != nil {
		return nil, err
	}
	return bus.Connect(bus.Config{Servers: c.Servers(), User: got.Poller, Name: got.Poller, JWT: got.JWT, Sign: sign, CAFile: c.CAFile(), MaxWait: 10 * time.Second}, telemetry.Nop())
}
