package channel

import (
	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/internal/wait"
)

// onHint notes that a revision is there to be fetched. The control plane's
// hints have no headers; every stored message has, and a user who may read in the
// tenant can have one delivered here.
func (c *Channel) onHint(msg *nats.Msg) {
	if len(msg.Header) > 0 {
		c.log.Warn("a hint that is not the control plane's")
		return
	}
	// Strictly, although a node may be newer: an answer to another that was aimed
	// here has fields that a hint has not. A hint that is not understood costs the
	// time until the next question.
	var h api.Hint
	if err := api.DecodeStrict(msg.Data, &h); err != nil {
		c.log.Warn("a hint that cannot be read", "error", err)
		return // an answer to another, aimed here
	}
	c.mu.Lock()
	c.want, c.secrets = max(c.want, h.Revision), max(c.secrets, h.Secrets)
	c.mu.Unlock()
	wait.Nudge(c.hints)
}

// giveUp forgets a revision that was asked for several times in vain: what
// there is then is asked for without it.
func (c *Channel) giveUp(want uint64) {
	if want == 0 {
		return
	}
	if c.unserved++; c.unserved < stubborn {
		return
	}
	c.unserved = 0
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.want == want {
		c.want = 0
	}
}
