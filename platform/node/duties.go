package node

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"midplane/fault"
)

// Duties are what a node does for others: it has clients, leads streams and
// consumers, and holds replicas. They are handed over before it stops.
type Duties struct{ Of *Node }

// Move has a client leave for another node: a client that knows lame duck mode
// learns why its connection is closed. The server itself must not enter that mode,
// which ends it. NotFound when the connection is gone already.
func (d Duties) Move(client uint64) error {
	srv := d.Of.srv.Load()
	if srv == nil {
		return notStarted(d.Of)
	}
	_ = srv.LDMClientByID(client) // a client that is too old for it is closed without
	return d.Of.Kick(client)
}

// Lagging is a stream of which this node's replica is not whole, or does not take
// part in its Raft group.
type Lagging struct {
	Account string // public key
	Stream  string // "": the account itself cannot be found
	Why     string
}

// Behind returns this node's replicas of streams that are not whole. Consumers are
// not looked at: most are of one replica and come and go, and the rest are small and
// follow within moments. The error says why the server does not know: until it is up
// to date with the cluster it does not know what it should have.
func (d Duties) Behind() (list []Lagging, err error) {
	srv := d.Of.srv.Load()
	if srv == nil {
		return nil, notStarted(d.Of)
	}
	for _, e := range srv.Healthz(&server.HealthzOptions{Details: true}).Errors {
		switch e.Type {
		case server.HealthzErrorConsumer:
		case server.HealthzErrorStream:
			list = append(list, Lagging{Account: e.Account, Stream: e.Stream, Why: e.Error})
		case server.HealthzErrorAccount:
			list = append(list, Lagging{Account: e.Account, Why: e.Error})
		default:
			return nil, fault.New(fault.Unavailable, "node %s: %s", d.Of.cfg.Name, e.Error)
		}
	}
	return list, nil
}

// Led is a stream or consumer that this node leads.
type Led struct {
	Account  string // public key
	Stream   string
	Consumer string // "": the stream itself
}

// Leads returns the streams and consumers with several replicas that this node
// leads.
func (d Duties) Leads() (out []Led) {
	srv := d.Of.srv.Load()
	if srv == nil {
		return nil
	}
	all, err := srv.Jsz(&server.JSzOptions{Accounts: true, Streams: true, Consumer: true, Limit: maxAccounts})
	if err != nil {
		return nil // not enabled yet
	}
	leads := func(c *server.ClusterInfo) bool {
		return c != nil && c.Leader == d.Of.cfg.Name && len(c.Replicas) > 0
	}
	for _, a := range all.AccountDetails {
		for _, s := range a.Streams {
			if leads(s.Cluster) {
				out = append(out, Led{Account: a.Id, Stream: s.Name})
			}
			for _, c := range s.Consumer {
				if leads(c.Cluster) {
					out = append(out, Led{Account: a.Id, Stream: s.Name, Consumer: c.Name})
				}
			}
		}
	}
	return out
}

// Leading returns how many Raft groups this node leads, without that of JetStream's
// meta data: it is cheaper than Leads.
func (d Duties) Leading() (count int) {
	srv := d.Of.srv.Load()
	if srv == nil {
		return 0
	}
	status := srv.Raftz(&server.RaftzOptions{})
	if status == nil {
		return 0
	}
	for _, groups := range *status {
		for name, g := range groups {
			if name != metaGroup && g.State == server.Leader.String() && g.Size > 1 {
				count++
			}
		}
	}
	return count
}

// maxAccounts is how many accounts the server lists at once; by default a
// thousand or so.
const maxAccounts = 1 << 20

// HandOver lets another node lead what this one leads. The others that keep up take
// over at once; NotFound when this node does not lead it any more.
func (d Duties) HandOver(l Led) error {
	srv := d.Of.srv.Load()
	if srv == nil {
		return notStarted(d.Of)
	}
	if l.Consumer != "" {
		return srv.JetStreamStepdownConsumer(l.Account, l.Stream, l.Consumer)
	}
	return srv.JetStreamStepdownStream(l.Account, l.Stream)
}

// handOverWithin is how long a stopping node waits for others to take over what
// it leads; the server itself allows them a second.
const handOverWithin = 1200 * time.Millisecond

// HandOverAll lets other nodes lead what this one leads, and waits until they do,
// for a moment at most. Without it every stream that it led, the registry's buckets
// too, would be without a leader until an election: 4 to 9 seconds.
func (d Duties) HandOverAll() {
	for _, l := range d.Leads() {
		_ = d.HandOver(l) // with nobody to take over there is nothing to wait for
	}
	for deadline := time.Now().Add(handOverWithin); d.Leading() > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
}
