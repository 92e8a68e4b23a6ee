package event

// Names of the headers a message travels with (CloudEvents 1.0 binary mode and
// W3C trace context, all lower case). NATS compares them with case; readers of
// Midplane compare without.
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

	// Set by the ingress alone; a producer's are refused.
	HeaderProducer      = "ce-producer"
	HeaderSite          = "ce-site"
	HeaderSchemaVersion = "ce-schemaversion"
	HeaderReceived      = "ce-received"
	HeaderViolation     = "ce-violation"

	// HeaderGuard, with GuardLevel, makes a stored message useless as a request:
	// whoever may fetch a message chooses where it is delivered, and what listens
	// there may be JetStream (CONSUMER.RESET of another's consumer takes any JSON
	// with a "seq"). The server refuses a request that demands a level of its API
	// that does not exist.
	HeaderGuard = "Nats-Required-Api-Level"
)

// GuardLevel is the value of HeaderGuard.
const GuardLevel = "1000000"
