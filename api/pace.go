package api

import (
	"time"

	"midplane/event"
)

// ReadsPace in ConfigRequest.Reads says that the poller understands
// PollerConfig.Pace.
const ReadsPace = "pace"

// Rate is a number of messages and a number of bytes, each per second.
type Rate struct {
	Messages int   `json:"messages"`
	Bytes    int64 `json:"bytes"`
}

// Pace is how fast a poller may send: it begins with its share, sends faster
// while it is not refused, and never exceeds the limit.
type Pace struct {
	Share Rate `json:"share"` // of the tenant's rate at one node, if all its pollers send to that node
	Limit Rate `json:"limit"` // of one producer
}

// The limits that hold a producer back, by the name of the quota's field.
const (
	LimitProducerMessages = "producerMessageRate"
	LimitProducerBytes    = "producerByteRate"
	LimitTenantMessages   = "messageRate"
	LimitTenantBytes      = "byteRate"
)

// Limits lists these limits.
var Limits = []string{LimitProducerMessages, LimitProducerBytes, LimitTenantMessages, LimitTenantBytes}

// Held says that a producer is held back: its messages wait because of a limit.
type Held struct {
	Limit   string    `json:"limit"`             // the quota's field
	Value   int64     `json:"value,omitempty"`   // of the limit, per second; 0 when it is not known
	Since   time.Time `json:"since"`             // when it began
	Refused uint64    `json:"refused,omitempty"` // messages that the ingress has refused since then
	Waiting int64     `json:"waiting,omitempty"` // messages in a poller's outbox
}

// HeldProducer is a producer that a node's ingress holds back.
type HeldProducer struct {
	Tenant   event.Tenant   `json:"tenant"`
	Producer event.Producer `json:"producer"`
	Held
	ShutOut *time.Time `json:"shutOut,omitempty"` // until when its connections are closed, because it did not wait
}
