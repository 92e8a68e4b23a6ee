// Package connections knows who is connected to the nodes: it keeps the users of
// every tenant, and every enrolment token, within the connections that they may
// have, and finds out where a request came from. It is the only part of the
// control plane that listens and asks in SYS, and that closes connections of others.
package connections

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/fault"
	"midplane/platform/control/dial"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// System is this node's connection to SYS, opened at first use.
type System struct{ *dial.Lazy }

// NewSystem returns a System that connects with the keys of the SYS account.
func NewSystem(dialer dial.Connector, keys account.Keys) *System {
	return &System{dial.NewLazy(dialer, keys, account.RoleNode, account.UserNode)}
}

// askWithin bounds a question to all nodes.
const askWithin = time.Second

// connz is what a server answers about an account's connections. Which fields
// are filled in depends on what was asked for.
type connz struct {
	Server struct {
		Name string `json:"name"`
	} `json:"server"`
	Data struct {
		Connections []struct {
			ID     uint64    `json:"cid"`
			IP     string    `json:"ip"`
			Port   int       `json:"port"`
			Start  time.Time `json:"start"`
			User   string    `json:"authorized_user"`
			Issuer string    `json:"issuer_key"`
			Subs   []string  `json:"subscriptions_list"`
		} `json:"connections"`
	} `json:"data"`
}

// connzRequest asks for the connections of an account.
type connzRequest struct {
	Account string `json:"acc"`
	Users   bool   `json:"auth,omitempty"`          // with who they are
	Subs    bool   `json:"subscriptions,omitempty"` // with what they listen to
	Limit   int    `json:"limit"`
}

// askAll asks the server of every node which connections an account has, and
// gives each answer to take, until take returns false or all live nodes have
// answered. Unavailable when one does not.
func askAll(ctx context.Context, nc *nats.Conn, req connzRequest, live []registry.Presence, take func(connz) bool) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	ask, _ := json.Marshal(req) // strings and numbers
	missing, err := dial.AskAll(ctx, nc, "$SYS.REQ.SERVER.PING.CONNZ", ask, live, func(msg *nats.Msg) (string, bool, error) {
		var answer connz
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			return "", false, fault.Wrap(fault.Other, err, "who is connected")
		}
		return answer.Server.Name, take(answer), nil
	})
	if err == nil && len(missing) > 0 {
		return fault.New(fault.Unavailable, "who is connected: no answer of %v", missing)
	}
	return err
}
