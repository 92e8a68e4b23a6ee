package event

import (
	"encoding/json"
	"strconv"
	"time"
)

// Kind is the kind of a message. It decides which stream keeps the message.
type Kind string

// The kinds. A dead letter carries another message that could not be handled,
// with the reason.
const (
	KindEvent  Kind = "event"  // something happened
	KindState  Kind = "state"  // the last known fact about an entity
	KindMetric Kind = "metric" // samples over time
	KindDead   Kind = "dead"   // could not be handled
)

// The streams of every tenant.
const (
	StreamEvents  = "EVENTS"
	StreamState   = "STATE"
	StreamMetrics = "METRICS"
	StreamDead    = "DEAD"
)

// Kinds and Streams list all kinds and streams: stream i keeps the messages of
// kind i. Both are shown and made in this order.
var (
	Kinds   = [...]Kind{KindEvent, KindState, KindMetric, KindDead}
	Streams = [...]string{StreamEvents, StreamState, StreamMetrics, StreamDead}
)

// Stream returns the stream that keeps messages of kind k, or "".
func (k Kind) Stream() string {
	switch k {
	case KindEvent:
		return StreamEvents
	case KindState:
		return StreamState
	case KindMetric:
		return StreamMetrics
	case KindDead:
		return StreamDead
	}
	return ""
}

// KindOfStream is the inverse of Kind.Stream; "" for a stream that is not a tenant's.
func KindOfStream(stream string) Kind {
	for _, k := range Kinds {
		if k.Stream() == stream {
			return k
		}
	}
	return ""
}

// Severity is one of the eight severities of RFC 5424.
type Severity string

// The severities.
const (
	Emergency Severity = "emergency"
	Alert     Severity = "alert"
	Critical  Severity = "critical"
	Error     Severity = "error"
	Warning   Severity = "warning"
	Notice    Severity = "notice"
	Info      Severity = "info"
	Debug     Severity = "debug"
)

// Severities lists them, most urgent first; the index is the RFC's number.
var Severities = [...]Severity{Emergency, Alert, Critical, Error, Warning, Notice, Info, Debug}

// Level returns the RFC 5424 number, 0 (emergency) to 7 (debug), or -1.
func (s Severity) Level() int {
	for i, known := range Severities {
		if s == known {
			return i
		}
	}
	return -1
}

// Event is one message of a tenant, as producers make it, streams keep it and
// readers fold it. Only the ingress sets the fields marked "ingress".
type Event struct {
	Kind     Kind
	Severity Severity // KindEvent only
	Entity   Entity
	Type     Type

	ID       string          // ce-id; also the message id when MsgID is empty
	MsgID    string          // Nats-Msg-Id, "<producer>/…"; with "" no duplicate is detected
	Time     time.Time       // ce-time: when the producer saw it, UTC
	Data     json.RawMessage // the payload, unchanged
	Producer Producer        // ingress
	Site     Site            // ingress
	Version  int             // ingress: registry version of Type, ce-schemaversion
	Received time.Time       // ingress: ce-received

	// The loss ledger; all zero for a stock client.
	Epoch    int64  // ce-epoch: one outbox database; later ones are larger
	Sequence uint64 // ce-sequence: gap-free per producer, epoch and stream, from 1
	Low      uint64 // ce-low: all of 1…Low are acknowledged

	Violation   string // ce-violation: why the policy "enforce" would have refused it
	TraceParent string // W3C
	TraceState  string

	Stream    string // the stream that a reader found it in
	StreamSeq uint64
}

// TraceID returns the 32 hex digits of the trace id in TraceParent, or "".
func (e *Event) TraceID() string { return TraceID(e.TraceParent) }

// TraceID returns the trace id of a W3C traceparent header, or "".
func TraceID(traceparent string) string {
	if len(traceparent) >= 55 && traceparent[2] == '-' && traceparent[35] == '-' {
		return traceparent[3:35]
	}
	return ""
}

// TraceSampled reports whether a W3C traceparent header asks for its trace to be
// recorded.
func TraceSampled(traceparent string) bool {
	if len(traceparent) < 55 {
		return false
	}
	flags, err := strconv.ParseUint(traceparent[53:55], 16, 8)
	return err == nil && flags&1 == 1
}

// Newer reports whether a state by (epoch, seq) supersedes one by
// (overEpoch, overSeq) of the same producer.
func Newer(epoch int64, seq uint64, overEpoch int64, overSeq uint64) bool {
	if epoch != overEpoch {
		return epoch > overEpoch
	}
	return seq > overSeq
}
