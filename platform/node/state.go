package node

import (
	"github.com/nats-io/nats-server/v2/server"
)

// Stream is this node's replica of a stream.
type Stream struct {
	Account  string // public key
	Name     string
	Messages uint64
	Bytes    uint64
	First    uint64
	Last     uint64
	MaxBytes int64
	Leader   string
	Peers    []string // nodes that have a replica, as this one knows them

	Consumers int
	Group     string // of its replicas, in Progress; "" for one without
}

// Streams returns this node's replicas of the streams of one account.
func (n *Node) Streams(accountKey string) []Stream {
	srv := n.srv.Load()
	if srv == nil {
		return nil
	}
	d, err := srv.JszAccount(&server.JSzOptions{Account: accountKey, Streams: true, Config: true})
	if err != nil {
		return nil // not enabled yet
	}
	var out []Stream
	for _, s := range d.Streams {
		st := Stream{Account: accountKey, Name: s.Name, Messages: s.State.Msgs, Bytes: s.State.Bytes, First: s.State.FirstSeq, Last: s.State.LastSeq,
			Consumers: s.State.Consumers}
		if s.Config != nil {
			st.MaxBytes = s.Config.MaxBytes
		}
		if s.Cluster != nil {
			st.Leader, st.Group = s.Cluster.Leader, s.Cluster.RaftGroup
			for _, p := range s.Cluster.Replicas {
				st.Peers = append(st.Peers, p.Name)
			}
		}
		out = append(out, st)
	}
	return out
}

// CurrentBytes returns how many bytes the streams of an account hold, by name: of
// those whose replica on this node keeps up with its leader.
func (n *Node) CurrentBytes(accountKey string) map[string]uint64 {
	out := map[string]uint64{}
	srv := n.srv.Load()
	if srv == nil {
		return out
	}
	d, err := srv.JszAccount(&server.JSzOptions{Account: accountKey, Streams: true})
	if err != nil {
		return out // not enabled yet
	}
	for _, s := range d.Streams {
		if srv.JetStreamIsStreamCurrent(accountKey, s.Name) {
			out[s.Name] = s.State.Bytes
		}
	}
	return out
}

// Meta is what the server knows of the cluster.
type Meta struct {
	Leader  string // of JetStream's meta group; "" when there is none
	Size    int
	Quorum  bool     // this node has a leader that a majority of the nodes follows
	Unheard []string // without a quorum: the nodes that this one hears nothing of
	Current bool     // this node is a member that keeps up
	Version string
	Healthy bool
	Problem string
	// Disabled says that the server keeps no streams any more: it could not write.
	Disabled bool
}

// Meta returns what the server knows of the cluster.
func (n *Node) Meta() Meta {
	srv := n.srv.Load()
	if srv == nil {
		return Meta{Version: server.VERSION, Problem: "the server has not started"}
	}
	m := Meta{Leader: n.cfg.Name, Size: 1, Quorum: true} // alone there is no group
	if n.cfg.Route != "" {
		m = metaState(srv)
	}
	m.Version, m.Current = server.VERSION, srv.JetStreamIsCurrent()
	h := srv.Healthz(&server.HealthzOptions{JSServerOnly: true})
	m.Healthy = h.StatusCode == 200
	m.Problem = h.Error
	m.Disabled = n.unwritable.Load()
	return m
}

// Connections returns how many connections of users the server has.
func (n *Node) Connections() int {
	if srv := n.srv.Load(); srv != nil {
		return srv.NumClients()
	}
	return 0
}
