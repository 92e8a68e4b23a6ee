package event

// Compact reports whether messages of a type are sent and stored with few
// headers: Nats-Msg-Id, ce-time, ce-low, and traceparent when the trace is
// recorded. What a full message says besides follows from its subject and its
// id, and when it was received from the time at which the stream took it. These
// are what a poller sends after every run, changed or not, so that their headers
// would be most of what is stored. It is so only for a message from an outbox;
// any other has all headers.
func Compact(t Type) bool { return t == TypeSeen || t == TypeCountersList }

// CompactTime is how compact messages write ce-time.
const CompactTime = "2006-01-02T15:04:05.000Z07:00"
