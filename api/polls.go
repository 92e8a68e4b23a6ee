package api

import (
	"time"

	"midplane/event"
)

// FormatPolls is of what a poller sends of each poll: 2 is states when they
// change, a heartbeat (event.TypeSeen), and the counters of a device's interfaces
// in one message (event.TypeCountersList). With 1 every state is sent every time.
const FormatPolls = "polls"

// ReadsPolls in ConfigRequest.Reads says that the poller understands
// PollerConfig.Polls.
const ReadsPolls = "polls"

// PollsWithLedger is the number of FormatPolls from which on pollers say what they gave
// up (event.TypeOverflow), and send messages that are missing once more.
const PollsWithLedger = 3

// Polls has a poller send in FormatPolls 2, and says how.
type Polls struct {
	MaxMessage int      `json:"maxMessage"`      // the tenant's largest message, in bytes
	State      uint64   `json:"state,omitempty"` // incarnation of STATE: with a new one everything is sent again
	Resend     []Resend `json:"resend,omitempty"`

	// Ledger has a poller send in FormatPolls 3.
	Ledger bool `json:"ledger,omitempty"`
}

// Same reports whether two are the same but for what is to be sent again.
func (p *Polls) Same(q *Polls) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.MaxMessage == q.MaxMessage && p.State == q.State && p.Ledger == q.Ledger
}

// Resend asks for all states of a device with its next poll. The same request has
// the same time.
type Resend struct {
	Device event.Entity `json:"device"`
	Asked  time.Time    `json:"asked"`
}

// CoreResend is what a primary asks with when what it holds of a poller's devices
// differs from what their heartbeats say.
const CoreResend = "resend" // ResendRequest → {}

// ResendRequest names devices of one poller, at most MaxResend.
type ResendRequest struct {
	Tenant  string         `json:"tenant"`
	Poller  string         `json:"poller"`
	Devices []event.Entity `json:"devices"`
}

// MaxResend bounds a request, and what is kept of a poller's requests.
const MaxResend = 1000
