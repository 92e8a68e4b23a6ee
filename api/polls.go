package api

import (
	"time"

	"midplane/event"
	"midplane/fault"
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

	// Ledger has a poller send in FormatPolls 3. Missing are messages that it is to send
	// once more, as far as it still has them.
	Ledger  bool     `json:"ledger,omitempty"`
	Missing []Resend `json:"missing,omitempty"`
}

// Same reports whether two are the same but for what is to be sent again.
func (p *Polls) Same(q *Polls) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.MaxMessage == q.MaxMessage && p.State == q.State && p.Ledger == q.Ledger
}

// Resend asks for all states of a device with its next poll, or for messages that were
// acknowledged. The same request has the same time.
type Resend struct {
	Device   event.Entity  `json:"device,omitempty"`
	Messages *MessageRange `json:"messages,omitempty"`
	Asked    time.Time     `json:"asked"`
}

// MessageRange names messages of a poller by their sequences in one epoch and stream.
type MessageRange struct {
	Stream string `json:"stream"`
	Epoch  int64  `json:"epoch"`
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
}

// Check refuses what names no messages that a poller could send once more: of STATE it
// has the newest of each only, and those are asked for by device.
func (m MessageRange) Check() error {
	if m.Stream != event.StreamEvents && m.Stream != event.StreamMetrics || m.Epoch < 1 || m.From < 1 || m.To < m.From {
		return fault.New(fault.Invalid, "sequences %d to %d of epoch %d in stream %.16q are not messages that can be sent again", m.From, m.To, m.Epoch, m.Stream)
	}
	return nil
}

// CoreResend is what a primary asks with when what it holds of a poller's devices
// differs from what their heartbeats say, or when messages are missing.
const CoreResend = "resend" // ResendRequest → {}

// ResendRequest names devices of one poller, or messages, at most MaxResend in all.
type ResendRequest struct {
	Tenant   string         `json:"tenant"`
	Poller   string         `json:"poller"`
	Devices  []event.Entity `json:"devices"`
	Messages []MessageRange `json:"messages,omitempty"`
}

// MaxResend bounds a request, and what is kept of a poller's requests.
const MaxResend = 1000
