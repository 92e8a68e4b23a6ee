// Package join makes a machine a poller with an enrolment token: it makes the
// poller's key, which never leaves the machine, redeems the token for
// credentials, and keeps what a poller needs to run in its data folder.
//
// Nothing is sent to a server whose certificate does not come from the CA that
// the token names; that CA is kept, and the poller trusts no other. A join that
// is interrupted goes on when the same token is used again: the key is on disk
// before it is sent, and the same key gets the same answer. It may import
// bus, api, tenants and what is below them.
package join

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/telemetry"
	"midplane/tenants/account"
	"midplane/tenants/enrol"
)

const (
	// answerWithin is how long one answer may take: the nodes wait for each other.
	answerWithin = 15 * time.Second
	// connectWithin is how long one node may take to let the token in.
	connectWithin = 3 * time.Second
	// Patience is how long Join tries to reach the nodes.
	Patience = time.Minute
)

// Identity is who the poller of a data folder is.
type Identity struct {
	Tenant  event.Tenant   `json:"tenant"`
	Site    event.Site     `json:"site"`
	Poller  event.Producer `json:"poller"`
	Token   string         `json:"token"` // id of the one it joined with
	Servers []string       `json:"servers"`
	Joined  time.Time      `json:"joined"`

	Creds string `json:"-"` // path
	CA    string `json:"-"` // path, "" without TLS
}

// Join redeems the token for the poller of the folder dir, unless it has been,
// with this very token. A refusal is an error at once; nodes that cannot be
// reached are tried for a while.
func Join(ctx context.Context, dir string, token enrol.Token, tel telemetry.Telemetry) (Identity, error) {
	have, joined, err := Load(dir)
	switch {
	case err != nil:
		return Identity{}, err
	case joined && have.Token == token.ID:
		return have, nil
	case joined && (have.Tenant != token.Tenant || have.Poller != token.Poller):
		return Identity{}, fault.WithHint(fault.New(fault.Conflict, "%s belongs to poller %s/%s, and the token is for %s/%s", dir, have.Tenant, have.Poller, token.Tenant, token.Poller),
			"give another folder with --data")
	}
	key, err := pendingKey(dir, token.ID)
	if err != nil {
		return Identity{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	pause := wait.NewGrowing(100*time.Millisecond, 2*time.Second)
	for {
		id, err := redeem(ctx, dir, token, key, tel)
		if !fault.Is(err, fault.Unavailable) {
			return id, err
		}
		tel.Log.Info("joining, trying on", "tenant", token.Tenant, "poller", token.Poller, "error", err)
		if pause.For(ctx) != nil {
			return Identity{}, err
		}
	}
}

// redeem asks one server after the other, until one has an answer. That one of
// them is an impostor is the error when no other answers.
func redeem(ctx context.Context, dir string, token enrol.Token, key pending, tel telemetry.Telemetry) (Identity, error) {
	var last error
	for _, i := range rand.Perm(len(token.Servers)) {
		id, err := redeemAt(ctx, dir, token, token.Servers[i], key)
		var wrong *impostorError
		switch {
		case errors.As(err, &wrong):
			tel.Log.Error("not a server of the cluster that made the token", "server", token.Servers[i], "error", err)
			last = err
		case !fault.Is(err, fault.Unavailable):
			return id, err
		case last == nil || !errors.As(last, &wrong):
			last = err
		}
	}
	return Identity{}, last
}

// redeemAt connects, asks once and keeps the answer.
func redeemAt(ctx context.Context, dir string, token enrol.Token, server string, key pending) (Identity, error) {
	sign, err := account.SignWith(token.Seed)
	if err != nil {
		return Identity{}, err
	}
	guard, err := newGuard(token.Pins, server)
	if err != nil {
		return Identity{}, err
	}
	nc, err := bus.Connect(bus.Config{
		Servers: []string{server}, User: token.ID, Name: "join " + string(token.Poller), JWT: token.JWT, Sign: sign,
		MaxWait: time.Nanosecond, // once
		Options: append(guard.options(), nats.NoReconnect(), nats.IgnoreDiscoveredServers(), nats.Timeout(connectWithin)),
	}, telemetry.Nop())
	if err != nil {
		return Identity{}, guard.explain(err)
	}
	defer nc.Close()
	ask, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	// A connection that is closed, by a node that stops or as one too many of
	// this token, brings no answer.
	closed := nc.StatusChanged(nats.CLOSED)
	go func() {
		select {
		case <-closed:
			cancel()
		case <-ask.Done():
		}
	}()
	answer, err := api.Enrol(ask, nc, token.ID, key.public, key.sign)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		err = fault.New(fault.Unavailable, "the connection was closed before there was an answer")
	}
	if err != nil {
		return Identity{}, err
	}
	id := Identity{Tenant: event.Tenant(answer.Tenant), Site: event.Site(answer.Site), Poller: event.Producer(answer.Poller), Token: token.ID, Servers: answer.Servers, Joined: time.Now().UTC()}
	if id.Tenant != token.Tenant || id.Poller != token.Poller {
		return Identity{}, fault.New(fault.Other, "the token is for poller %s/%s, and the answer for %s/%s", token.Tenant, token.Poller, id.Tenant, id.Poller)
	}
	if len(id.Servers) == 0 {
		id.Servers = token.Servers
	}
	return keep(dir, id, answer.JWT, key, guard.authorities())
}
