package testcluster

import (
	"context"
	"encoding/json"
)

// Replica is a stream as one node has it.
type Replica struct {
	Node, Leader string
	MaxBytes     int64
	Messages     uint64
	Last         uint64
}

// Replicas returns the streams of a tenant as the nodes have them, by their name.
func Replicas(ctx context.Context, c *Cluster, tenant string) (map[string][]Replica, error) {
	sys, account, err := c.systemFor(ctx, tenant)
	if err != nil {
		return nil, err
	}
	defer sys.Close()
	inbox := sys.NewRespInbox()
	sub, err := sys.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	ask, err := json.Marshal(map[string]any{"account": account, "streams": true, "config": true})
	if err != nil {
		return nil, err
	}
	if err := sys.PublishRequest("$SYS.REQ.SERVER.PING.JSZ", inbox, ask); err != nil {
		return nil, err
	}
	out := map[string][]Replica{}
	for range Running(c) {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		var answer struct {
			Server struct{ Name string }
			Data   struct {
				Accounts []struct {
					Streams []struct {
						Name    string `json:"name"`
						Cluster struct {
							Leader string `json:"leader"`
						} `json:"cluster"`
						Config struct {
							MaxBytes int64 `json:"max_bytes"`
						} `json:"config"`
						State struct {
							Messages uint64 `json:"messages"`
							Last     uint64 `json:"last_seq"`
						} `json:"state"`
					} `json:"stream_detail"`
				} `json:"account_details"`
			} `json:"data"`
		}
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			return nil, err
		}
		for _, a := range answer.Data.Accounts {
			for _, s := range a.Streams {
				out[s.Name] = append(out[s.Name], Replica{Node: answer.Server.Name, Leader: s.Cluster.Leader, MaxBytes: s.Config.MaxBytes, Messages: s.State.Messages, Last: s.State.Last})
			}
		}
	}
	return out, nil
}

// Running returns the names of the nodes that run.
func Running(c *Cluster) (out []string) {
	for _, name := range c.Names() {
		if c.Node(name) != nil {
			out = append(out, name)
		}
	}
	return out
}
