package bus

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/fault"
)

// compactID returns the id of a message that is sent with few headers: its id
// says all that the others would. See event.Compact.
func compactID(e *event.Event) (event.MessageID, bool) {
	if !event.Compact(e.Type) || e.Sequence == 0 || (e.MsgID != "" && e.MsgID != e.ID) {
		return event.MessageID{}, false
	}
	id, ok := event.ParseMessageID(e.ID)
	return id, ok && id.Epoch == e.Epoch && id.Sequence == e.Sequence && id.Stream == e.Kind.Stream()
}

func compactHeader(h nats.Header, e *event.Event) nats.Header {
	h[event.HeaderMsgID] = []string{e.ID}
	h[event.HeaderLow] = []string{strconv.FormatUint(e.Low, 10)}
	if !e.Time.IsZero() {
		h[event.HeaderTime] = []string{e.Time.UTC().Format(event.CompactTime)}
	}
	if event.TraceSampled(e.TraceParent) {
		h[event.HeaderTraceParent] = []string{e.TraceParent}
		if e.TraceState != "" {
			h[event.HeaderTraceState] = []string{e.TraceState}
		}
	}
	return h
}

// parseCompact fills in what the id says. When it was received is for the reader
// of the stream to say.
func parseCompact(e *event.Event, id event.MessageID, get func(string) string) (err error) {
	e.ID, e.Producer, e.Epoch, e.Sequence = e.MsgID, id.Producer, id.Epoch, id.Sequence
	if id.Stream != e.Kind.Stream() {
		return fault.New(fault.Invalid, "%s %q is not of stream %s", event.HeaderMsgID, e.MsgID, e.Kind.Stream())
	}
	if e.Low, err = strconv.ParseUint(get(event.HeaderLow), 10, 63); err != nil || e.Low >= e.Sequence {
		return fault.New(fault.Invalid, "%s %q is not a number below %d", event.HeaderLow, get(event.HeaderLow), e.Sequence)
	}
	if e.Time, err = time.Parse(time.RFC3339Nano, get(event.HeaderTime)); err != nil {
		return fault.Wrap(fault.Invalid, err, "header %s", event.HeaderTime)
	}
	e.Version = 1
	if s := get(event.HeaderSchemaVersion); s != "" {
		if e.Version, err = strconv.Atoi(s); err != nil {
			return fault.Wrap(fault.Invalid, err, "header %s", event.HeaderSchemaVersion)
		}
	}
	return nil
}
