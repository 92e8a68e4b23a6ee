package poller

import (
	"github.com/nats-io/nats.go"

	"midplane/api"
)

// onHint notes that a revision is there to be fetched. The control plane's
// hints have no headers; every stored message has, and whoever may read in the
// tenant can have one delivered here.
func (c *channel) onHint(msg *nats.Msg) {
	if len(msg.Header) > 0 {
		c.tel.Log.Warn("a hint that is not the control plane's")
		return
	}
	var h api.Hint
	if err := api.Decode(msg.Data, &h); err != nil {
		c.tel.Log.Warn("a hint that cannot be read", "error", err)
		return // somebody's answer, aimed here
	}
	c.mu.Lock()
	c.want, c.secrets = max(c.want, h.Revision), max(c.secrets, h.Secrets)
	c.mu.Unlock()
	nudge(c.hints)
}

func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // it is awake already
	}
}

// giveUp forgets a revision that was asked for several times in vain: what
// there is then is asked for without it.
func (c *channel) giveUp(want uint64) {
	if want == 0 {
		return
	}
	if c.unheard++; c.unheard < stubborn {
		return
	}
	c.unheard = 0
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.want == want {
		c.want = 0
	}
}
