package control

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/fault"
)

// maxPerToken is how many connections one token may have: it needs one, and a
// second while the server has not noticed that the first is gone. More are
// borne for crowdWithin, in which who came by it honestly, or late, is answered.
const (
	maxPerToken = 2
	crowdWithin = time.Second
)

// crowd knows the connections of ENROL on all nodes, by the token's key, and
// keeps each token to its number. A JWT limits an account, not a user, and
// whoever has a token could take every connection of the account. The oldest
// go, so that who came by his token honestly always gets through.
type crowd struct {
	mu    sync.Mutex
	conns map[string][]arrival
	told  map[string]int // refusals written down, by token
}

func newCrowd() *crowd { return &crowd{conns: map[string][]arrival{}, told: map[string]int{}} }

// arrival is one connection.
type arrival struct {
	server, host string
	client       uint64
	start        time.Time // by the server's clock
}

// connectEvent is what a server says when a client comes or goes.
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

// watchTokens keeps the connections of ENROL few until ctx ends.
func (c *Control) watchTokens(ctx context.Context) error {
	nc, err := c.system()
	for ; err != nil; nc, err = c.system() {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
	sub, err := nc.Subscribe("$SYS.ACCOUNT."+c.cfg.Enrol.Public+".*", func(msg *nats.Msg) {
		var e connectEvent
		if json.Unmarshal(msg.Data, &e) != nil || e.Client.User == "" {
			return
		}
		switch {
		case strings.HasSuffix(msg.Subject, ".CONNECT"):
			if c.tokens.came(e) {
				time.AfterFunc(crowdWithin, func() { c.thin(e.Client.User) })
			}
		case strings.HasSuffix(msg.Subject, ".DISCONNECT"):
			c.tokens.went(e)
		}
	})
	if err != nil {
		return fault.Wrap(fault.Other, err, "watch the connections of tokens")
	}
	<-ctx.Done()
	_ = sub.Unsubscribe() // the connection may be closed
	return nil
}

// thin closes the connections of a token to this node that are too many.
func (c *Control) thin(key string) {
	closed := 0
	for _, a := range c.tokens.over(key) {
		if a.server == c.cfg.Node && c.cfg.Server.Kick(a.client) == nil {
			closed++
		}
	}
	if closed > 0 && c.seen.due("thin."+key, time.Hour) {
		go c.audit(context.Background(), api.AuditRecord{Verb: "token.thin", Target: key, Detail: "a token has too many connections, the oldest were closed"})
	}
	if closed > 0 {
		c.tel.Log.Warn("a token has too many connections, the oldest were closed", "key", key, "closed", closed)
	}
}

// came notes a connection and reports whether it is one too many.
func (w *crowd) came(e connectEvent) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[e.Client.User] = append(w.conns[e.Client.User], arrival{e.Server.Name, e.Client.Host, e.Client.ID, e.Client.Start})
	return len(w.conns[e.Client.User]) > maxPerToken
}

// over takes the oldest connections that are too many off the list. The nodes
// hear of them in different orders and must agree on which are the newest.
func (w *crowd) over(key string) []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.conns[key]
	slices.SortFunc(all, func(a, b arrival) int {
		return cmp.Or(a.start.Compare(b.start), cmp.Compare(a.server, b.server), cmp.Compare(a.client, b.client))
	})
	n := max(0, len(all)-maxPerToken)
	if n > 0 {
		w.conns[key] = slices.Clone(all[n:])
	}
	return all[:n]
}

func (w *crowd) went(e connectEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := slices.DeleteFunc(w.conns[e.Client.User], func(a arrival) bool { return a.server == e.Server.Name && a.client == e.Client.ID })
	if w.conns[e.Client.User] = left; len(left) == 0 {
		delete(w.conns, e.Client.User)
	}
}

// from says where a token's connections come from.
func (w *crowd) from(key string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var where []string
	for _, a := range w.conns[key] {
		where = append(where, a.host+" via "+a.server)
	}
	slices.Sort(where)
	return cmp.Or(strings.Join(slices.Compact(where), ", "), "unknown")
}

// Refusals of one token that a node writes down before it takes its time.
const (
	toldAtOnce   = 100
	refusedEvery = time.Second
)

// tell reports whether one more refusal of a token is written down.
func (c *Control) tell(id string) bool {
	c.tokens.mu.Lock()
	c.tokens.told[id]++
	n := c.tokens.told[id]
	c.tokens.mu.Unlock()
	return n <= toldAtOnce || c.seen.due("enrol."+id, refusedEvery)
}
