package connections

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/once"
)

// maxPerToken is how many connections one token may have: it needs one, and a
// second while the server has not noticed that the first is gone. More may be
// open for surplusFor, in which an honest holder, or a late one, gets an answer.
const (
	maxPerToken = 2
	surplusFor  = time.Second
)

// TokenConfig is what Tokens are given.
type TokenConfig struct {
	Node   string
	System *System
	Server interface{ Kick(client uint64) error }
	Audit  Recorder
	Log    *slog.Logger
	Enrol  string // public key of the ENROL account
}

// Tokens knows the connections of ENROL on all nodes, by the token's key, and
// keeps each token to its number. A JWT limits an account, not a user, and with
// one token every connection of the account could be taken. The oldest go, so
// that an honest holder of a token always gets through.
type Tokens struct {
	cfg      TokenConfig
	recorded once.Every

	mu    sync.Mutex
	conns map[string][]arrival
}

// NewTokens returns Tokens; Run works.
func NewTokens(cfg TokenConfig) *Tokens { return &Tokens{cfg: cfg, conns: map[string][]arrival{}} }

// arrival is one connection.
type arrival struct {
	server, host string
	client       uint64
	start        time.Time // by the server's clock
}

// connectEvent is what a server publishes when a client comes or goes.
type connectEvent struct {
	Server struct {
		Name string `json:"name"`
	} `json:"server"`
	Client struct {
		ID    uint64    `json:"id"`
		Host  string    `json:"host"`
		User  string    `json:"user"`
		Start time.Time `json:"start"`
	} `json:"client"`
}

// Run keeps the connections of ENROL few until ctx ends.
func (t *Tokens) Run(ctx context.Context) error {
	nc, err := t.cfg.System.Shared()
	for ; err != nil; nc, err = t.cfg.System.Shared() {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
	sub, err := nc.Subscribe("$SYS.ACCOUNT."+t.cfg.Enrol+".*", func(msg *nats.Msg) {
		var e connectEvent
		if json.Unmarshal(msg.Data, &e) != nil || e.Client.User == "" {
			return
		}
		switch {
		case strings.HasSuffix(msg.Subject, ".CONNECT"):
			if t.came(e) {
				time.AfterFunc(surplusFor, func() { t.closeSurplus(e.Client.User) })
			}
		case strings.HasSuffix(msg.Subject, ".DISCONNECT"):
			t.went(e)
		}
	})
	if err != nil {
		return fault.Wrap(fault.Other, err, "watch the connections of tokens")
	}
	<-ctx.Done()
	_ = sub.Unsubscribe() // the connection may be closed
	return nil
}

// closeSurplus closes the connections of a token to this node that are too many.
func (t *Tokens) closeSurplus(key string) {
	closed := 0
	for _, a := range t.over(key) {
		if a.server == t.cfg.Node && t.cfg.Server.Kick(a.client) == nil {
			closed++
		}
	}
	if closed > 0 && t.recorded.Due(key, time.Hour) {
		go t.cfg.Audit.Record(context.Background(), api.AuditRecord{Verb: "token.thin", Target: key, Detail: "a token has too many connections, the oldest were closed"})
	}
	if closed > 0 {
		t.cfg.Log.Warn("a token has too many connections, the oldest were closed", "key", key, "closed", closed)
	}
}

// came notes a connection and reports whether it is one too many.
func (t *Tokens) came(e connectEvent) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns[e.Client.User] = append(t.conns[e.Client.User], arrival{e.Server.Name, e.Client.Host, e.Client.ID, e.Client.Start})
	return len(t.conns[e.Client.User]) > maxPerToken
}

// over takes the oldest connections that are too many off the list. The nodes
// see them in different orders and must agree on which are the newest.
func (t *Tokens) over(key string) []arrival {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.conns[key]
	slices.SortFunc(all, func(a, b arrival) int {
		return cmp.Or(a.start.Compare(b.start), cmp.Compare(a.server, b.server), cmp.Compare(a.client, b.client))
	})
	n := max(0, len(all)-maxPerToken)
	if n > 0 {
		t.conns[key] = slices.Clone(all[n:])
	}
	return all[:n]
}

func (t *Tokens) went(e connectEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := slices.DeleteFunc(t.conns[e.Client.User], func(a arrival) bool { return a.server == e.Server.Name && a.client == e.Client.ID })
	if t.conns[e.Client.User] = left; len(left) == 0 {
		delete(t.conns, e.Client.User)
	}
}

// From returns where a token's connections come from.
func (t *Tokens) From(key string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var where []string
	for _, a := range t.conns[key] {
		where = append(where, a.host+" via "+a.server)
	}
	slices.Sort(where)
	return cmp.Or(strings.Join(slices.Compact(where), ", "), unknown)
}
