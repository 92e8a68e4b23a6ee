package node

import (
	"crypto/tls"
	"errors"
	"strings"
)

// errShut is what a client's handshake ends with before the gate is open.
var errShut = errors.New("this node lets nobody in before it knows what the registry says")

// Open lets clients in. A node that starts when none of its peers answers has
// only its own, perhaps old, account JWTs: whoever was revoked meanwhile would
// be let in by them. So nobody is, over TLS, until the registry has answered.
func (n *Node) Open() { n.open.Store(true) }

// gated refuses handshakes until Open. Plain connections are for loopback,
// where all nodes live and die in one process, and are not held.
func (n *Node) gated(c *tls.Config) *tls.Config {
	if c == nil || !n.cfg.Gated {
		return c
	}
	inner := c.GetConfigForClient
	out := c.Clone()
	out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !n.open.Load() {
			return nil, errShut
		}
		if inner == nil {
			return nil, nil
		}
		return inner(hello)
	}
	return out
}

// refusedByGate reports whether a peer refused us because it is starting, too.
func refusedByGate(err error) bool {
	return err != nil && strings.Contains(err.Error(), "remote error: tls: internal error")
}
