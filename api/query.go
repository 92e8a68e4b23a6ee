package api

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/subject"
)

// Verbs of the query service, which a primary answers: query.<name>.<verb>.
const (
	DeviceList    = "device.list"    // ListRequest → Page[Device]
	DeviceGet     = "device.get"     // DeviceRef → DeviceDetail
	DeviceChanges = "device.changes" // ChangesRequest → Changes
	InterfaceList = "interface.list" // ListRequest → Page[Interface]
	CheckList     = "check.list"     // ListRequest → Page[Check]
	EventList     = "event.list"     // EventRequest → Page[Event], oldest first
	EventFollow   = "event.follow"   // EventRequest → Page[Event]; waits for the first
	PrimaryStatus = "primary.status" // {} → PrimaryReport
)

// FollowWait is how long event.follow waits before it answers an empty page.
const FollowWait = 20 * time.Second

// DeviceRef names a device.
type DeviceRef struct {
	Tenant string `json:"tenant"`
	Site   string `json:"site"`
	Device string `json:"device"`
}

// ChangesRequest asks which devices have changed since a position, of those that a
// list with the same fields is about.
type ChangesRequest struct {
	ListRequest
	Since string `json:"since,omitempty"` // Changes.Position; "": only the position is asked for
}

// Changes is which devices have changed. LastSeen alone is no change, or nearly
// all would. A position is of one primary, and of one run of it.
type Changes struct {
	Position string      `json:"position"`
	Again    bool        `json:"again,omitempty"` // it cannot be said: list the devices, then ask since Position
	More     bool        `json:"more,omitempty"`  // ask since Position at once
	Items    []Device    `json:"items"`           // as they are now
	Removed  []DeviceRef `json:"removed"`         // changed, and not in the list: gone, or not what was asked for
	Total    int         `json:"total"`           // how many devices the list has now
}

// EventRequest filters the event log. After is a position in it ("" = from the
// start); event.follow with After "now" begins at the end. With Newest, a list
// is the last Limit events that match, still oldest first.
type EventRequest struct {
	Tenant   string         `json:"tenant,omitempty"`
	Site     string         `json:"site,omitempty"`
	Severity event.Severity `json:"severity,omitempty"` // this or more urgent
	Type     string         `json:"type,omitempty"`     // exact, or a prefix of whole words
	Entity   string         `json:"entity,omitempty"`   // exact, or a device: it and its parts
	Since    *time.Time     `json:"since,omitempty"`
	Limit    int            `json:"limit,omitempty"`
	After    string         `json:"after,omitempty"`
	Newest   bool           `json:"newest,omitempty"`
}

// PrimaryReport is what a primary knows about itself.
type PrimaryReport struct {
	Name    string         `json:"name"`
	Version string         `json:"version"`
	Started time.Time      `json:"started"`
	Tenants []TenantReport `json:"tenants"`
	Alarms  []event.Alarm  `json:"alarms"`
	Aside   []string       `json:"aside,omitempty"` // damaged databases in its folder that were moved away
}

// TenantReport is how far a primary is with one tenant.
type TenantReport struct {
	Tenant  string         `json:"tenant"`
	Reading bool           `json:"reading"`
	Problem string         `json:"problem,omitempty"`
	Streams []StreamReport `json:"streams"`
	Sites   []SiteReport   `json:"sites,omitempty"`   // where something is wrong in the network; an older primary leaves it out
	Devices *DeviceCounts  `json:"devices,omitempty"` // an older primary leaves it out
}

// DeviceCounts is how many devices have which status.
type DeviceCounts struct {
	Up      int `json:"up"`
	Down    int `json:"down"`
	Unknown int `json:"unknown"`
}

// SiteReport is what is wrong in the network of one site.
type SiteReport struct {
	Site     string `json:"site"`
	Down     Found  `json:"down"`     // devices
	Critical Found  `json:"critical"` // checks
	Warning  Found  `json:"warning"`  // checks
}

// Found is how many of a kind there are, with the first few by name.
type Found struct {
	Count int      `json:"count"`
	Names []string `json:"names"`
}

// StreamReport is a primary's cursor in a stream. Lag is in messages.
type StreamReport struct {
	Stream string     `json:"stream"`
	Cursor uint64     `json:"cursor"`
	Last   uint64     `json:"last"`
	Lag    uint64     `json:"lag"`
	Folded *time.Time `json:"folded,omitempty"` // when the last message was folded

	Waiting *Waiting `json:"waiting,omitempty"` // reading stands before a hole
}

// Waiting is a hole at which a primary waits: the stream's leader does not have the
// messages, and another replica may.
type Waiting struct {
	From  uint64    `json:"from"`
	To    uint64    `json:"to"`
	Why   string    `json:"why"`
	Nodes []string  `json:"nodes"` // whose replicas may have them
	Since time.Time `json:"since"`
}

// Query is the client of the query service.
type Query struct {
	nc   *nats.Conn
	name string
}

// NewQuery returns a client that asks as name, the connection's user.
func NewQuery(nc *nats.Conn, name string) *Query { return &Query{nc: nc, name: name} }

// Do requests one verb.
func (q *Query) Do(ctx context.Context, verb string, req, resp any) error {
	return Call(ctx, q.nc, subject.Request(subject.DoorQuery, q.name, verb), req, resp)
}
