package node

import (
	"crypto/tls"
	"errors"
	"strings"
	"sync/atomic"
)

// errShut is what a client's handshake ends with before the gate is open.
var errShut = errors.New("this node lets no client in before it knows what the registry holds")

// gate keeps clients out until it is opened. A node that starts when none of its
// peers answers has only its own, perhaps old, account JWTs, and they would let
// in a user that was revoked since. So no client gets in, over TLS, until the
// registry has answered. Plain connections are for loopback, where all nodes live
// and die in one process, and are not held.
type gate struct{ open atomic.Bool }

// before returns c with handshakes that are refused until the gate is open.
func (g *gate) before(c *tls.Config) *tls.Config {
	if c == nil {
		return nil
	}
	inner := c.GetConfigForClient
	out := c.Clone()
	out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !g.open.Load() {
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
