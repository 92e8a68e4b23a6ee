package streams

import "github.com/nats-io/nats.go/jetstream"

// Error codes of JetStream that decide what to do, even if the HTTP-like code
// beside them suggests something else. No other package has these numbers.
const (
	CodeStorageFull   jetstream.ErrorCode = 10002 // the account's storage is used up
	CodeNoPeers       jetstream.ErrorCode = 10005 // no suitable peers: nodes are still starting
	CodeUnavailable   jetstream.ErrorCode = 10008 // system temporarily unavailable
	CodeMaxConsumers  jetstream.ErrorCode = 10026
	CodeMaxStreams    jetstream.ErrorCode = 10027
	CodeNoMessage     jetstream.ErrorCode = 10037 // the requested message does not exist
	CodeNotEnabled    jetstream.ErrorCode = 10039 // the account's JWT has not reached the node yet
	CodeNoResources   jetstream.ErrorCode = 10047 // insufficient storage
	CodeNameInUse     jetstream.ErrorCode = 10058 // another node made it since it was read: read again
	CodeNoStream      jetstream.ErrorCode = 10059
	CodeWrongLast     jetstream.ErrorCode = 10071 // compare-and-set: the last sequence is not the expected one
	CodeStreamFull    jetstream.ErrorCode = 10077
	CodeStreamOffline jetstream.ErrorCode = 10118
	CodeSameInFlight  jetstream.ErrorCode = 10158 // the same message id is being stored
	CodeWrongLastAny  jetstream.ErrorCode = 10164 // the same from newer servers
	CodeTooMany       jetstream.ErrorCode = 10167 // the stream's ingest queue is full
)
