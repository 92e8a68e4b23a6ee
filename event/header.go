package event

// Names of a message's headers (CloudEvents 1.0 binary mode and W3C trace
// context, all lower case). NATS compares names with case; readers of Midplane
// compare without.
const (
	HeaderMsgID          = "Nats-Msg-Id"
	HeaderExpectedStream = "Nats-Expected-Stream"
	HeaderContentType    = "content-type"
	HeaderTraceParent    = "traceparent"
	HeaderTraceState     = "tracestate"

	HeaderSpecVersion = "ce-specversion"
	HeaderID          = "ce-id"
	HeaderSource      = "ce-source"
	HeaderType        = "ce-type"
	HeaderTime        = "ce-time"

	// Set by a producer with an outbox: the loss ledger.
	HeaderEpoch    = "ce-epoch"
	HeaderSequence = "ce-sequence"
	HeaderLow      = "ce-low"

	// Set by the ingress alone, which refuses them from producers.
	HeaderProducer      = "ce-producer"
	HeaderSite          = "ce-site"
	HeaderSchemaVersion = "ce-schemaversion"
	HeaderReceived      = "ce-received"
	HeaderViolation     = "ce-violation"

	// HeaderGuard, with GuardLevel, makes a stored message useless as a request. A
	// client that may fetch a message chooses the subject it is delivered to, and
	// JetStream may listen there (CONSUMER.RESET of another user's consumer takes
	// any JSON with a "seq"). The server refuses a request that demands a level of
	// its API that does not exist.
	HeaderGuard = "Nats-Required-Api-Level"
)

// GuardLevel is the value of HeaderGuard.
const GuardLevel = "1000000"
