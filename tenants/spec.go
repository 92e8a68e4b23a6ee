// Package tenants is what a tenant's file says: its sites, pollers, devices,
// quota, subscriptions and own schemas. It reads such files strictly (every
// mistake with file, line, column and a hint, all of them at once), plans what
// changes between two of them, and derives from one what pollers, streams and
// readers need. Plans and derivations are pure; only LoadDir and LoadFile read
// files. It may import streams, schemas and what is below them.
package tenants

import (
	"midplane/api"
	"midplane/event"
	"midplane/schemas"
)

// What every file begins with.
const (
	APIVersion = "midplane/v1"
	KindTenant = "Tenant"
)

// Policies for messages that break their schema.
const (
	PolicyEnforce = "enforce" // refused
	PolicyWarn    = "warn"    // stored and counted
)

// What happens to a subscription's unread messages when its stream is full.
const (
	WhenFullHold = "hold" // they stay, and producers wait
	WhenFullSkip = "skip" // they may go, and the application is notified
)

// Spec is a tenant as its file declares it. After loading, defaults are filled
// in; what follows from the whole (the checks of a device that names none, the
// poller that watches it) is derived: see PollerConfig. Secrets are never in
// it, only references to them.
type Spec struct {
	APIVersion    string           `json:"apiVersion"`
	Kind          string           `json:"kind"`
	ID            event.Tenant     `json:"id"`
	Name          string           `json:"name"`
	Contact       string           `json:"contact,omitempty"`
	Policy        string           `json:"policy"`
	Quota         Quota            `json:"quota"`
	Retention     Retention        `json:"retention"`
	Sites         []Site           `json:"sites,omitempty"`
	Subscriptions []Subscription   `json:"subscriptions,omitempty"`
	Schemas       []schemas.Schema `json:"schemas,omitempty"`
}

// Quota is how much a tenant may use.
type Quota struct {
	Storage     Bytes `json:"storage"`     // of all streams together, bytes of one copy
	Connections int   `json:"connections"` // of pollers, applications and people
	MessageRate int   `json:"messageRate"` // messages per second, over all nodes
	MessageSize Bytes `json:"messageSize"` // payload of one message

	ConnectionsPerUser  int   `json:"connectionsPerUser"`  // of one user, over all nodes; what is more is closed
	Subscriptions       int   `json:"subscriptions"`       // NATS subscriptions of one connection
	Consumers           int   `json:"consumers"`           // durable consumers of one stream
	MaxAckPending       int   `json:"maxAckPending"`       // messages a consumer may have out unacknowledged
	ByteRate            Bytes `json:"byteRate"`            // bytes per second, over all nodes
	ProducerMessageRate int   `json:"producerMessageRate"` // messages per second of one producer
	ProducerByteRate    Bytes `json:"producerByteRate"`    // bytes per second of one producer
}

// Retention is how long what has been read is kept. State is kept for ever.
type Retention struct {
	Events  api.Duration `json:"events"`
	Metrics api.Duration `json:"metrics"`
	Dead    api.Duration `json:"dead"`
}

// Site is a place in the tenant's network.
type Site struct {
	ID      event.Site `json:"id"`
	Name    string     `json:"name"`
	Pollers []Poller   `json:"pollers,omitempty"`
	Devices []Device   `json:"devices,omitempty"`
}

// Poller is an agent at a site. An embedded one is run by "midplane up" itself.
type Poller struct {
	ID       event.Producer `json:"id"`
	Embedded bool           `json:"embedded,omitempty"`
}

// Device is one thing to watch. Poller is "" when the site's pollers share it
// out among themselves; without checks it gets the default ones.
type Device struct {
	ID      event.Entity   `json:"id"`
	Name    string         `json:"name,omitempty"`
	Address string         `json:"address"` // host name or IP address
	Poller  event.Producer `json:"poller,omitempty"`
	SNMP    *api.SNMP      `json:"snmp,omitempty"`
	Checks  []Check        `json:"checks,omitempty"`
}

// Check is one thing to do about a device on a schedule. Params are the
// collector's own.
type Check struct {
	Name      string            `json:"name"`
	Collector string            `json:"collector"`
	Interval  api.Duration      `json:"interval"`
	Timeout   api.Duration      `json:"timeout"`
	Params    map[string]string `json:"params,omitempty"`
}

// Subscription is a durable consumer that the control plane makes for an
// application.
type Subscription struct {
	Application string `json:"application"`
	Name        string `json:"name"`
	Stream      string `json:"stream"`
	Filter      Filter `json:"filter"`
	WhenFull    string `json:"whenFull"`
}

// Filter selects messages; an empty list means any. A type without its
// version stands for all that begin with its words.
type Filter struct {
	Severity []event.Severity `json:"severity,omitempty"`
	Type     []string         `json:"type,omitempty"`
	Site     []event.Site     `json:"site,omitempty"`
}

// schemaEntry is how a tenant's file names a schema of its own; loading turns
// it into a schemas.Schema with the files' contents.
type schemaEntry struct {
	Type        event.Type `json:"type"`
	Kind        event.Kind `json:"kind"`
	Version     int        `json:"version"`
	File        string     `json:"file"`
	Schema      rawJSON    `json:"schema"`
	Example     rawJSON    `json:"example"`
	ExampleFile string     `json:"exampleFile"`
	Line        string     `json:"line"`
}

// document is a tenant's file: a Spec whose schemas are in files of their own.
type document struct {
	APIVersion    string         `json:"apiVersion"`
	Kind          string         `json:"kind"`
	ID            event.Tenant   `json:"id"`
	Name          string         `json:"name"`
	Contact       string         `json:"contact"`
	Policy        string         `json:"policy"`
	Quota         Quota          `json:"quota"`
	Retention     Retention      `json:"retention"`
	Sites         []Site         `json:"sites"`
	Subscriptions []Subscription `json:"subscriptions"`
	Schemas       []schemaEntry  `json:"schemas"`
}

func (d *document) spec() *Spec {
	return &Spec{
		APIVersion: d.APIVersion, Kind: d.Kind, ID: d.ID, Name: d.Name, Contact: d.Contact, Policy: d.Policy,
		Quota: d.Quota, Retention: d.Retention, Sites: d.Sites, Subscriptions: d.Subscriptions,
	}
}
