package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/subject"
	"midplane/tenants/account"
)

// whenceWithin bounds the search for where a request came from.
const whenceWithin = time.Second

// whence says where a request of user who came from: the address that the
// servers see, never what the client says of itself. The request does not
// carry it, so every node's server is asked for the connections of CONTROL:
// only who may listen below _INBOX.<who>, and the one that listens where the
// answer goes is the one that asked. When the answer was aimed elsewhere, all
// connections of that user are named.
func (c *Control) whence(ctx context.Context, who, reply string) string {
	nc, err := c.system()
	if err != nil {
		c.tel.Log.Debug("cannot ask where a request came from", "error", err)
		return "unknown"
	}
	ctx, cancel := context.WithTimeout(ctx, whenceWithin)
	defer cancel()
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return "unknown"
	}
	defer func() { _ = sub.Unsubscribe() }()                                                                       // the connection may be closing
	ask, _ := json.Marshal(map[string]any{"acc": c.cfg.Control.Public, "subscriptions": true, "limit": maxAskers}) // strings and numbers
	if err := nc.PublishRequest("$SYS.REQ.SERVER.PING.CONNZ", inbox, ask); err != nil {
		return "unknown"
	}
	var possible []string
	for range len(c.reg.LiveNodes()) {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			break
		}
		exact, others := askers(msg.Data, who, reply)
		if exact != "" {
			return exact
		}
		possible = append(possible, others...)
	}
	if len(possible) == 0 {
		return "unknown"
	}
	slices.Sort(possible)
	return "one of " + strings.Join(slices.Compact(possible), ", ")
}

// maxAskers is how many connections of CONTROL a server lists.
const maxAskers = 4096

// askers finds who's connections in one server's answer.
func askers(data []byte, who, reply string) (exact string, others []string) {
	var answer struct {
		Server struct {
			Name string `json:"name"`
		} `json:"server"`
		Data struct {
			Connections []struct {
				Kind string   `json:"kind"`
				IP   string   `json:"ip"`
				Port int      `json:"port"`
				Subs []string `json:"subscriptions_list"`
			} `json:"connections"`
		} `json:"data"`
	}
	if json.Unmarshal(data, &answer) != nil {
		return "", nil
	}
	own := subject.InboxPrefix(who) + "."
	for _, conn := range answer.Data.Connections {
		if !slices.ContainsFunc(conn.Subs, func(s string) bool { return strings.HasPrefix(s, own) }) {
			continue
		}
		where := "in-process"
		if conn.IP != "" {
			where = fmt.Sprintf("%s:%d", conn.IP, conn.Port)
		}
		where += " via " + answer.Server.Name
		if slices.ContainsFunc(conn.Subs, func(s string) bool { return covers(s, reply) }) {
			return where, nil
		}
		others = append(others, where)
	}
	return "", others
}

// covers reports whether a subscription to an inbox gets what is sent to reply.
func covers(sub, reply string) bool {
	if rest, ok := strings.CutSuffix(sub, "*"); ok {
		return strings.HasPrefix(reply, rest) && !strings.Contains(reply[len(rest):], ".")
	}
	if rest, ok := strings.CutSuffix(sub, ">"); ok {
		return strings.HasPrefix(reply, rest)
	}
	return sub == reply
}

// systemConn is this node's connection to SYS, opened at first use.
type systemConn struct {
	mu sync.Mutex
	nc *nats.Conn
}

func (c *Control) system() (*nats.Conn, error) {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	if c.sys.nc != nil && !c.sys.nc.IsClosed() {
		return c.sys.nc, nil
	}
	nc, err := c.cfg.Dialer.Connect(c.cfg.SystemKeys, account.RoleNode, account.UserNode)
	if err == nil {
		c.sys.nc = nc
	}
	return nc, err
}

func (c *Control) closeSystem() {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	if c.sys.nc != nil {
		c.sys.nc.Close()
	}
}
