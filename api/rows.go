package api

import (
	"encoding/json"
	"time"

	"midplane/event"
)

// The rows of every kind that can be listed. They are the JSON that
// "midplane get KIND -o json" prints and the HTTP API serves: stable names,
// times RFC 3339 UTC (lastSeen is null when there is none), lists never null.

// Tenant is one row of "get tenants".
type Tenant struct {
	ID         string      `json:"id"`
	Tenant     string      `json:"tenant"`
	Name       string      `json:"name"`
	Contact    string      `json:"contact"`
	Account    string      `json:"account"` // public key of its NATS account
	Policy     string      `json:"policy"`  // enforce or warn
	Ready      bool        `json:"ready"`
	Sites      int         `json:"sites"`
	Pollers    int         `json:"pollers"`
	Devices    int         `json:"devices"`
	Revision   uint64      `json:"revision"` // of its spec in the registry
	Conditions []Condition `json:"conditions"`
}

// Condition is one condition that must be true for a tenant to be Ready.
type Condition struct {
	Type    string `json:"type"` // AccountPushed StreamsReady SchemasBound IngressOpen PrimaryReading
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"`
}

// The conditions, in the order they come true.
const (
	AccountPushed  = "AccountPushed"
	StreamsReady   = "StreamsReady"
	SchemasBound   = "SchemasBound"
	IngressOpen    = "IngressOpen"
	PrimaryReading = "PrimaryReading"
)

// Site is one row of "get sites".
type Site struct {
	ID      string   `json:"id"`
	Tenant  string   `json:"tenant"`
	Name    string   `json:"name"`
	Pollers []string `json:"pollers"`
	Devices int      `json:"devices"`
}

// Poller is one row of "get pollers".
type Poller struct {
	ID       string     `json:"id"`
	Tenant   string     `json:"tenant"`
	Site     string     `json:"site"`
	Embedded bool       `json:"embedded"`
	Status   string     `json:"status"` // online, offline, revoked, pending
	LastSeen *time.Time `json:"lastSeen"`
	Version  string     `json:"version"`
	Devices  int        `json:"devices"`
	Revision uint64     `json:"revision"` // of the configuration it works with
	Outbox   int64      `json:"outbox"`   // messages waiting
	Epoch    int64      `json:"epoch"`    // of its outbox, 0 when it never reported
	Unsent   []Unsent   `json:"unsent"`   // by stream; an older poller does not say
	Problem  string     `json:"problem,omitempty"`
	Thinned  *Thinned   `json:"thinned,omitempty"`  // metrics that it gives up, null when it gives up none
	Overflow *Overflow  `json:"overflow,omitempty"` // what it gives up since its outbox is at its limit, null when it is not
}

// Status of a poller.
const (
	PollerOnline  = "online"
	PollerOffline = "offline"
	PollerPending = "pending" // declared, never seen
	PollerRevoked = "revoked" // its credentials are refused; a new key may be enrolled
)

// Device is one row of "get devices".
type Device struct {
	ID          string     `json:"id"`
	Tenant      string     `json:"tenant"`
	Site        string     `json:"site"`
	Address     string     `json:"address"`
	Name        string     `json:"name"`
	Status      string     `json:"status"` // up, down, unknown
	Message     string     `json:"message,omitempty"`
	LastSeen    *time.Time `json:"lastSeen"`        // of the newest message about it
	Since       *time.Time `json:"since,omitempty"` // when the status last changed
	Poller      string     `json:"poller,omitempty"`
	Description string     `json:"description,omitempty"`
	Interfaces  int        `json:"interfaces"`
	Checks      int        `json:"checks"`
}

// Interface is one row of "get interfaces".
type Interface struct {
	ID          string     `json:"id"`
	Tenant      string     `json:"tenant"`
	Site        string     `json:"site"`
	Device      string     `json:"device"`
	Index       string     `json:"index"`
	Name        string     `json:"name"`
	Alias       string     `json:"alias,omitempty"`
	AdminStatus string     `json:"adminStatus"`
	OperStatus  string     `json:"operStatus"`
	Speed       uint64     `json:"speed"` // bits per second
	MAC         string     `json:"mac,omitempty"`
	LastSeen    *time.Time `json:"lastSeen"`
}

// Check is one row of "get checks".
type Check struct {
	ID        string     `json:"id"`
	Tenant    string     `json:"tenant"`
	Site      string     `json:"site"`
	Device    string     `json:"device"`
	Name      string     `json:"name"`
	Collector string     `json:"collector"`
	Target    string     `json:"target"`
	Status    string     `json:"status"` // ok, warning, critical, unknown
	Message   string     `json:"message,omitempty"`
	Latency   float64    `json:"latencyMs"`
	NotAfter  *time.Time `json:"notAfter,omitempty"`
	LastSeen  *time.Time `json:"lastSeen"`
}

// Event is one row of "get events".
type Event struct {
	Tenant   string          `json:"tenant"`
	Site     string          `json:"site"`
	ID       string          `json:"id"`
	Time     time.Time       `json:"time"`
	Received time.Time       `json:"received"`
	Severity event.Severity  `json:"severity"`
	Type     string          `json:"type"`
	Entity   string          `json:"entity"`
	Message  string          `json:"message"`
	Producer string          `json:"producer"`
	TraceID  string          `json:"traceId"`
	Stream   string          `json:"stream"`
	Seq      uint64          `json:"seq"`
	Position uint64          `json:"position"` // in this primary's event log
	Data     json.RawMessage `json:"data,omitempty"`
}

// Series is the latest value of one metric of an entity, and its values of up to
// one hour.
type Series struct {
	Entity string    `json:"entity"`
	Type   string    `json:"type"`
	Name   string    `json:"name"`
	Value  float64   `json:"value"`
	Time   time.Time `json:"time"`
	Points []Point   `json:"points"`
}

// Point is one sample.
type Point struct {
	Time  time.Time `json:"time"`
	Value float64   `json:"value"`
}

// DeviceDetail is the answer of "describe device".
type DeviceDetail struct {
	Device     Device          `json:"device"`
	Inventory  json.RawMessage `json:"inventory,omitempty"` // net.device.inventory.v1
	Interfaces []Interface     `json:"interfaces"`
	Checks     []Check         `json:"checks"`
	Metrics    []Series        `json:"metrics"`
	Events     []Event         `json:"events"` // newest first, at most 20
}

// Stream is one row of "get streams".
type Stream struct {
	ID       string   `json:"id"`
	Tenant   string   `json:"tenant"`
	Kind     string   `json:"kind"`
	Messages uint64   `json:"messages"`
	Bytes    uint64   `json:"bytes"`
	MaxBytes int64    `json:"maxBytes"`
	First    uint64   `json:"firstSeq"`
	Last     uint64   `json:"lastSeq"`
	Leader   string   `json:"leader"`
	Replicas []string `json:"replicas"` // followers, "n2" or "n2 (offline)", "n2 (behind)"
	Floor    uint64   `json:"readFloor"`
	HeldBy   string   `json:"heldBy,omitempty"` // the cursor that holds back trimming
}

// Limit is one row of "get limits": a limit of a tenant, or of one of its
// producers. In a row of a producer, the tenant's rates are its share of them.
type Limit struct {
	Tenant        string     `json:"tenant"`
	Producer      string     `json:"producer"`      // empty for a limit of the tenant
	Limit         string     `json:"limit"`         // name of the quota's field, or devices, or specSize
	Value         int64      `json:"value"`         // what is allowed
	Used          *int64     `json:"used"`          // now; null when it is not known
	Refused       uint64     `json:"refused"`       // messages or connections, since the nodes that run began to count
	HeldBackSince *time.Time `json:"heldBackSince"` // null when the limit holds nothing back
	Hint          string     `json:"hint"`          // what would lift the limit
}

// Schema is one row of "get schemas".
type Schema struct {
	ID      string          `json:"id"`     // same as type
	Tenant  string          `json:"tenant"` // "" for Midplane's own
	Type    string          `json:"type"`
	Kind    event.Kind      `json:"kind"`
	Version int             `json:"version"`
	Schema  json.RawMessage `json:"schema"`
	Example json.RawMessage `json:"example"`
}
