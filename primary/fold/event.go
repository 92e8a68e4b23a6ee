package fold

import (
	"time"

	"midplane/event"
)

// foldEvent enters m into the event log. The ledger's own messages are
// bookkeeping and stay out of it.
func foldEvent(ch *Changes, m *Message) {
	if isLedger(m.Type) {
		return
	}
	ch.seen(m)
	ch.Events = append(ch.Events, m)
}

// DeadKey groups dead letters, within a tenant.
type DeadKey struct {
	Stream   string // of the original
	Reason   string
	Producer event.Producer
}

// DeadLetter is how many there were in a batch, and the newest.
type DeadLetter struct {
	Count  int
	Last   time.Time
	Entity event.Entity
	Type   event.Type
}

func foldDead(ch *Changes, m *Message) {
	key := DeadKey{m.DeadStream, m.DeadReason, m.Producer}
	d := ch.Dead[key]
	if d == nil {
		d = &DeadLetter{}
		ch.Dead[key] = d
	}
	d.Count++
	if !m.Received.Before(d.Last) {
		d.Last, d.Entity, d.Type = m.Received, m.Entity, m.Type
	}
}
