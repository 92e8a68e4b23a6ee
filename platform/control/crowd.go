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

	"midplane/fault"
)

// maxPerToken is how many connections one token may have: it needs one, and a
// second while the server has not noticed that the first is gone.
const maxPerToken = 2

// crowd knows the connections of ENROL on all nodes, by the token's key, and
// keeps each token to its number. A JWT limits an account, not a user, and
// whoever has a token could take every connection of the account. The oldest
// go, so that who came by his token honestly always gets through.
type crowd struct {
	node string
	kick func(client uint64) error

	mu    sync.Mutex
	conns map[string][]arrival
	told  map[string]int // refusals written down, by token
}

// arrival is one connection.
type arrival struct {
	server, host string
	client       uint64
}

// connectEvent is what a server says when a client comes or goes.
type connectEvent struct {
	Server struct {
		Name string `json:"name"`
	} `json:"server"`
	Client struct {
		ID   uint64 `json:"id"`
		Host string `json:"host"`
		User string `json:"user"`
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
			if n := c.tokens.came(e); n > 0 {
				c.tel.Log.Warn("a token has too many connections, the oldest are closed", "key", e.Client.User, "from", e.Client.Host, "closed", n)
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

// came notes a connection, and closes those of this node that are too many. It
// returns how many it closed.
func (w *crowd) came(e connectEvent) (closed int) {
	w.mu.Lock()
	if w.conns == nil {
		w.conns = map[string][]arrival{}
	}
	all := append(w.conns[e.Client.User], arrival{e.Server.Name, e.Client.Host, e.Client.ID})
	over := all[:max(0, len(all)-maxPerToken)]
	w.conns[e.Client.User] = slices.Clone(all[len(over):])
	w.mu.Unlock()
	for _, a := range over {
		if a.server == w.node && w.kick(a.client) == nil {
			closed++
		}
	}
	return closed
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
	if c.tokens.told == nil {
		c.tokens.told = map[string]int{}
	}
	c.tokens.told[id]++
	n := c.tokens.told[id]
	c.tokens.mu.Unlock()
	return n <= toldAtOnce || c.seen.due("enrol."+id, refusedEvery)
}
