package node

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"midplane/fault"
)

// Client is one connection of a user to this node.
type Client struct {
	ID     uint64
	User   string // public key
	Issuer string // public key of the signing key that its JWT is signed with
	Host   string // where it connects from
	Inside bool   // from this process
	Start  time.Time
	Subs   int // NATS subscriptions
}

// Clients returns the connections of an account's users to this node, the
// oldest first.
func (n *Node) Clients(accountKey string) []Client {
	srv := n.srv.Load()
	if srv == nil {
		return nil
	}
	var out []Client
	for {
		page, err := srv.Connz(&server.ConnzOptions{Sort: server.ByCid, Username: true, Account: accountKey, Offset: len(out), Limit: server.DefaultConnListSize})
		if err != nil {
			return out
		}
		for _, c := range page.Conns {
			out = append(out, Client{ID: c.Cid, User: c.AuthorizedUser, Issuer: c.IssuerKey, Host: c.IP, Inside: c.Port == 0, Start: c.Start, Subs: int(c.NumSubs)})
		}
		if len(page.Conns) < server.DefaultConnListSize {
			return out
		}
	}
}

// Load returns how many connections an account has here and at other nodes.
func (n *Node) Load(accountKey string) (here, elsewhere int) {
	srv := n.srv.Load()
	if srv == nil {
		return 0, 0
	}
	acc, err := srv.LookupAccount(accountKey)
	if err != nil {
		return 0, 0
	}
	return acc.NumLocalConnections(), acc.NumRemoteConnections()
}

// Kick closes one connection of this node. NotFound when it is gone already.
func (n *Node) Kick(client uint64) error {
	srv := n.srv.Load()
	if srv == nil {
		return notStarted(n)
	}
	return fault.Wrap(fault.NotFound, srv.DisconnectClientByID(client), "node %s: connection %d", n.cfg.Name, client)
}

// KickUser closes the connections of one user to this node.
func (n *Node) KickUser(accountKey, userKey string) {
	for _, c := range n.Clients(accountKey) {
		if c.User == userKey {
			_ = n.Kick(c.ID) // gone already is as good
		}
	}
}

// KickClients closes the connections of an account's users to this node, but those
// from this process, and returns how many.
func (n *Node) KickClients(accountKey string) (closed int) {
	for _, c := range n.Clients(accountKey) {
		if !c.Inside && n.Kick(c.ID) == nil {
			closed++
		}
	}
	return closed
}

func notStarted(n *Node) error {
	return fault.New(fault.Unavailable, "node %s has not started", n.cfg.Name)
}
