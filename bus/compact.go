package bus

import (
	"midplane/event"
	"midplane/fault"
)

// isCompact reports whether a message is sent with few headers: its id says all that
// the others would. See event.Compact.
func isCompact(p event.Producer, e *event.Event) bool {
	if !event.Compact(e.Type) || e.Sequence == 0 || e.MsgID != "" && e.MsgID != e.ID {
		return false
	}
	id, ok := event.ParseMessageID(e.ID)
	return ok && id.Producer == p && id.Epoch == e.Epoch && id.Sequence == e.Sequence && id.Stream == e.Kind.Stream()
}

// expand fills in what a compact message's id says. When it was received is for the
// reader of the stream to say.
func expand(e *event.Event, id event.MessageID, low string) error {
	if id.Stream != e.Kind.Stream() {
		return fault.New(fault.Invalid, "%s %q is not of stream %s", event.HeaderMsgID, e.MsgID, e.Kind.Stream())
	}
	if e.Time.IsZero() {
		return fault.New(fault.Invalid, "header %s is missing", event.HeaderTime)
	}
	e.ID, e.Producer, e.Epoch, e.Sequence = e.MsgID, id.Producer, id.Epoch, id.Sequence
	if e.Version == 0 {
		e.Version = 1
	}
	return parseLow(e, low)
}
