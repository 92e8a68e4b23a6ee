package replicas

import (
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/platform/registry"
)

// Peers are the other nodes, as a node asks them whose server does not run.
type Peers struct {
	Servers []string      // client URLs of the others
	Options []nats.Option // credentials of CONTROL with which nodes ask, TLS
}

// Whole asks the others whether they hold all of some streams: all nodes answer,
// their replicas are equal, and each has read its files. It returns why not.
func (p Peers) Whole(ctx context.Context, streams []api.ReplicaRef) map[api.ReplicaRef]error {
	not := map[api.ReplicaRef]error{}
	nc, err := p.connect()
	if err != nil {
		err = fault.Wrap(fault.Unavailable, err, "no other node can be asked")
		for _, ref := range streams {
			not[ref] = err
		}
		return not
	}
	defer nc.Close()
	for _, ref := range streams {
		if err := p.holds(ctx, nc, ref); err != nil {
			not[ref] = err
		}
	}
	return not
}

func (p Peers) connect() (nc *nats.Conn, err error) {
	opts := append([]nats.Option{nats.NoReconnect(), nats.Timeout(time.Second)}, p.Options...)
	for _, url := range p.Servers {
		if nc, err = nats.Connect(url, opts...); err == nil {
			return nc, nil
		}
	}
	return nil, err
}

// holds checks one stream: what the others hold, then their files.
func (p Peers) holds(ctx context.Context, nc *nats.Conn, ref api.ReplicaRef) error {
	if err := p.agree(ctx, nc, ref); err != nil {
		return err
	}
	var found []api.ReplicaVerified
	_, err := ask(ctx, nc, verifyWithin, api.CoreReplicaVerify, api.ReplicaVerify{Streams: []api.ReplicaRef{ref}}, p.one(), func(a api.ReplicaVerified) (string, bool) {
		found = append(found, a)
		return "", len(found) < len(p.Servers)
	})
	if err != nil || len(found) < len(p.Servers) {
		return fault.New(fault.Unavailable, "%d of %d other nodes have verified their files", len(found), len(p.Servers))
	}
	for _, a := range found {
		if !slices.ContainsFunc(a.Streams, func(v api.VerifiedReplica) bool { return v.ReplicaRef == ref && v.Whole() }) {
			return fault.New(fault.Conflict, "the replica on node %s is not surely whole", a.Node)
		}
	}
	return nil
}

// agree checks that the others' replicas are equal. Where messages flow, a reading
// rarely finds them at the same last sequence: then they have to keep up.
func (p Peers) agree(ctx context.Context, nc *nats.Conn, ref api.ReplicaRef) error {
	var list []at
	for n := range readings {
		var err error
		if list, err = p.held(ctx, nc, ref); err != nil {
			return err
		}
		if compare(list, list).equal {
			return nil
		}
		if n+1 < readings && wait.For(ctx, readingEvery) != nil {
			return ctx.Err()
		}
	}
	comparable := len(atSameLast(list)) == 1
	for _, a := range list {
		if comparable || a.Damage != nil || !a.Current {
			return fault.New(fault.Conflict, "the other replicas are not equal")
		}
	}
	return nil
}

// held returns the other nodes' replicas of a stream, when all of them answer.
func (p Peers) held(ctx context.Context, nc *nats.Conn, ref api.ReplicaRef) (list []at, err error) {
	answers := 0
	_, err = ask(ctx, nc, askWithin, api.CoreReplicas, api.ReplicasRequest{Streams: []api.ReplicaRef{ref}}, p.one(), func(a api.NodeReplicas) (string, bool) {
		answers++
		for _, h := range a.Replicas {
			if h.ReplicaRef == ref {
				list = append(list, at{a.Node, h})
			}
		}
		return "", answers < len(p.Servers)
	})
	if err == nil && (answers < len(p.Servers) || len(list) < len(p.Servers)) {
		err = fault.New(fault.Unavailable, "%d of %d other nodes hold it and answer", len(list), len(p.Servers))
	}
	return list, err
}

// one stands for the other nodes, whose names are not known here: their answers
// are counted.
func (p Peers) one() []registry.Presence { return []registry.Presence{{Name: "the others"}} }
