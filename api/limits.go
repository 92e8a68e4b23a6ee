package api

import (
	"fmt"
	"strings"
	"time"

	"midplane/event"
)

// LimitList lists limits with what is used of them: ListRequest → Page[Limit].
const LimitList = "limits.list"

// The limits that are no rates. All but the last two are fields of the quota; those
// are the same for all tenants. See also LimitStorageOf.
const (
	LimitMessageSize        = "messageSize"
	LimitStorage            = "storage"
	LimitConnections        = "connections"
	LimitConnectionsPerUser = "connectionsPerUser"
	LimitSubscriptions      = "subscriptions"
	LimitConsumers          = "consumers"
	LimitMaxAckPending      = "maxAckPending"
	LimitDevices            = "devices"
	LimitSpecSize           = "specSize" // of a tenant's file as it is stored, without devices when these are stored in parts
)

// liftHints say what would lift a limit that is no rate.
var liftHints = map[string]string{
	LimitMessageSize:        "raise quota.messageSize in the tenant's file, or let producers send smaller messages",
	LimitStorage:            "raise quota.storage or shorten the retention in the tenant's file, or let the slowest reader catch up: midplane get streams",
	LimitConnections:        "raise quota.connections in the tenant's file, or find out who connects so often",
	LimitConnectionsPerUser: "raise quota.connectionsPerUser in the tenant's file, or let the user's programs share a connection",
	LimitSubscriptions:      "raise quota.subscriptions in the tenant's file, or let the program subscribe to fewer subjects in one connection",
	LimitConsumers:          "raise quota.consumers in the tenant's file, or remove subscriptions that no application reads",
	LimitMaxAckPending:      "raise quota.maxAckPending in the tenant's file, or let applications acknowledge sooner",
	LimitDevices:            "this limit is not in the quota: declare some of the tenant's sites as another tenant",
	LimitSpecSize:           "this limit is not in the quota: shorten the tenant's schemas; devices count only until the last upgrade has been ended, see midplane upgrade status",
}

// LimitStorageOf is a stream's share of a tenant's storage.
func LimitStorageOf(stream string) string { return LimitStorage + "." + stream }

// LiftHint says what would lift a limit.
func LiftHint(limit string) string {
	switch limit {
	case LimitTenantMessages, LimitTenantBytes:
		return fmt.Sprintf("raise quota.%s in the tenant's file (each node accepts its share of it), or let the tenant's producers send less", limit)
	case LimitProducerMessages, LimitProducerBytes:
		return fmt.Sprintf("raise quota.%s in the tenant's file, or let the producer send less; messages that wait are sent within the rate", limit)
	}
	if _, stream, of := strings.Cut(limit, LimitStorage+"."); of {
		return fmt.Sprintf("raise quota.storage in the tenant's file, of which this is the share of %s, or let the slowest reader catch up: midplane get streams", stream)
	}
	return liftHints[limit]
}

// CoreLoad asks every node at once what it sees of tenants' limits: LoadRequest →
// NodeLoad. Nodes ask it of each other.
const CoreLoad = "load"

// AskedOfAll reports whether every node answers a request to the core service
// with this verb, and not any one of them.
func AskedOfAll(verb string) bool {
	switch verb {
	case CoreLoad, CoreReplicas, CoreReplicaVerify, CoreReplicaRepair, CoreReplicaSum:
		return true
	}
	return false
}

// LoadRequest names the tenants to report about.
type LoadRequest struct {
	Tenants []event.Tenant `json:"tenants"`
}

// NodeLoad is what one node sees.
type NodeLoad struct {
	Node    string                      `json:"node"`
	Tenants map[event.Tenant]TenantLoad `json:"tenants"`
}

// TenantLoad is what one node sees of a tenant. Counters by limit begin when the
// node does.
type TenantLoad struct {
	Flow
	Largest       int64                           `json:"largest,omitempty"`   // payload that was accepted, bytes
	Producers     map[event.Producer]ProducerLoad `json:"producers,omitempty"` // those with figures
	More          bool                            `json:"more,omitempty"`      // there are more of them
	Streams       map[string]StreamLoad           `json:"streams,omitempty"`   // this node's replicas
	Connections   map[string]int                  `json:"connections,omitempty"`
	Subscriptions int                             `json:"subscriptions,omitempty"` // most of one connection
	// Closed counts connections that were closed because of connectionsPerUser, by
	// user.
	Closed map[string]uint64 `json:"closed,omitempty"`
}

// Flow is what was accepted lately, each a second, and what was refused so far.
type Flow struct {
	Messages float64           `json:"messages,omitempty"`
	Bytes    float64           `json:"bytes,omitempty"`
	Refused  map[string]uint64 `json:"refused,omitempty"` // by limit
}

// ProducerLoad is what one node sees of a producer.
type ProducerLoad struct {
	Flow
	Held    *Held      `json:"held,omitempty"`
	ShutOut *time.Time `json:"shutOut,omitempty"` // see HeldProducer
}

// StreamLoad is what one replica of a stream holds.
type StreamLoad struct {
	Bytes     uint64 `json:"bytes,omitempty"`
	Consumers int    `json:"consumers,omitempty"`
}
