package outbox

import "midplane/event"

// identity is whose messages an outbox holds, and of which epoch.
type identity struct {
	producer event.Producer
	epoch    int64
	ledger   event.Entity // what ledger messages are about
}

func newIdentity(p event.Producer, epoch int64) identity {
	return identity{producer: p, epoch: epoch, ledger: LedgerEntity(p)}
}

// mark gives e its place: the same id on every try.
func (id *identity) mark(e *event.Event, seq uint64) {
	e.ID = event.MessageID{Producer: id.producer, Epoch: id.epoch, Stream: e.Kind.Stream(), Sequence: seq}.String()
	e.MsgID = e.ID
	e.Epoch, e.Sequence, e.Low = id.epoch, seq, 0
}

// isLedger reports whether a message of lane l is the outbox' own.
func (id *identity) isLedger(l lane, ent event.Entity, typ event.Type) bool {
	return ent == id.ledger && typ == event.LedgerType(kinds[l])
}

// LedgerEntity is what a poller's ledger messages are about: the poller.
func LedgerEntity(p event.Producer) event.Entity { return event.Entity("poller/" + string(p)) }
