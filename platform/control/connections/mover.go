package connections

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"midplane/platform/node"
	"midplane/tenants/account"
)

// MoverServer is what a Mover asks its own node's server.
type MoverServer interface {
	Clients(accountKey string) []node.Client
	Meta() node.Meta
}

// MoverConfig is what a Mover is given.
type MoverConfig struct {
	Server  MoverServer
	Move    func(client uint64) error // has one leave
	Tenants func() []string           // public keys of the tenants' accounts
	Control account.Keys              // of the CONTROL account
	Enrol   string                    // public key of the ENROL account
	// Drained reports whether an operator wants this node to have no clients.
	Drained func() bool
	Log     *slog.Logger
}

// Mover has the clients of this node leave for another one while this one cannot
// serve them: it has no quorum, or is drained. A client does not leave by itself
// because its publishes are refused. Operators stay: they want to know why. So does
// what connects from this process.
type Mover struct {
	cfg   MoverConfig
	admin string // public key that signs operators
	stays stays
	// without is for how many looks in a row there has been no quorum. Looks are
	// counted, not time: a process that stood still has not lost its quorum.
	without int
	away    string // why this node keeps no clients; "" when it does
	looks   int
	count   atomic.Int64
}

const (
	moveEvery = time.Second
	// withoutQuorum is for how many looks a node must have had no quorum. An
	// election takes up to 9 seconds.
	withoutQuorum = 10
	// movesAtOnce bounds how many clients leave in one round: each makes a TLS
	// handshake elsewhere.
	movesAtOnce = 500
	// countClientsEvery is how many looks pass between two counts while nothing is
	// moved.
	countClientsEvery = 5
)

// NewMover returns a Mover; Run works.
func NewMover(cfg MoverConfig) *Mover {
	return &Mover{cfg: cfg, admin: cfg.Control.Issuer(account.RoleAdmin), stays: stays{}}
}

// Run moves clients until ctx ends.
func (m *Mover) Run(ctx context.Context) error {
	tick := time.NewTicker(moveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			m.look(now)
		}
	}
}

// look decides whether this node keeps clients, and moves those that it does not.
func (m *Mover) look(now time.Time) {
	if m.cfg.Server.Meta().Quorum {
		m.without = 0
	} else {
		m.without++
	}
	why := ""
	switch {
	case m.without >= withoutQuorum:
		why = "it has no quorum"
	case m.cfg.Drained():
		why = "it is drained"
	}
	if why != m.away {
		if why != "" {
			m.cfg.Log.Warn("this node keeps no clients: they are moved to other nodes", "reason", why)
		} else {
			m.cfg.Log.Info("this node keeps clients again")
		}
		m.away = why
	}
	if m.looks++; why != "" || m.looks%countClientsEvery == 1 {
		list := m.clients()
		m.count.Store(int64(len(list)))
		if why != "" {
			m.move(list, now)
		}
	}
	if why == "" {
		m.stays = stays{}
	}
}

// Clients returns how many connections of users this node has, operators' excepted.
func (m *Mover) Clients() int { return int(m.count.Load()) }

// move has clients leave whose time here is over.
func (m *Mover) move(list []node.Client, now time.Time) {
	left, moved := movesAtOnce, map[string]bool{}
	for _, c := range list {
		if left == 0 {
			break // the rest in the next round
		}
		if !m.stays.over(c.User, now.Sub(c.Start)) || m.cfg.Move(c.ID) != nil {
			continue
		}
		moved[c.User] = true
		left--
	}
	for user := range moved {
		m.stays[user]++
	}
}

// All has every client leave: this node is about to stop.
func (m *Mover) All() {
	for _, c := range m.clients() {
		_ = m.cfg.Move(c.ID) // gone already is as good
	}
}

// clients returns the connections that are to leave.
func (m *Mover) clients() (out []node.Client) {
	add := func(account, stays string) {
		for _, c := range m.cfg.Server.Clients(account) {
			// One that has no issuer is still logging in.
			if !c.Inside && c.Issuer != "" && c.Issuer != stays {
				out = append(out, c)
			}
		}
	}
	add(m.cfg.Control.Public, m.admin)
	add(m.cfg.Enrol, "")
	for _, key := range m.cfg.Tenants() {
		add(key, "")
	}
	return out
}

// stays is how often each user, by its public key, was moved since this node keeps
// no clients. One that comes back finds no better node, or there is none: it stays
// longer each time, so that clients of a cluster without a quorum do not go round
// without a pause.
type stays map[string]int

// stayFor is how long a user stays that came back, by how often it was moved.
var stayFor = []time.Duration{0, 2 * time.Second, 5 * time.Second, 15 * time.Second}

// over reports whether a connection that has lasted for so long is to leave.
func (s stays) over(user string, lasted time.Duration) bool {
	return lasted >= stayFor[min(s[user], len(stayFor)-1)]
}
