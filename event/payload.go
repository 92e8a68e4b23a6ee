package event

import "time"

// The payloads of Midplane's own types. Their schemas, examples and one-line
// renderings are in schemas/catalog; a test there keeps the two alike. Times
// are RFC 3339 UTC, durations milliseconds, speeds bits per second, sizes bytes.

// The types of Midplane itself.
const (
	TypeDeclared     Type = "net.device.declared.v1"    // state, entity = device
	TypeInventory    Type = "net.device.inventory.v1"   // state, entity = device
	TypeReachability Type = "net.reachability.v1"       // state, entity = device
	TypeInterface    Type = "net.interface.status.v1"   // state, entity = device/if/index
	TypeCheck        Type = "net.check.result.v1"       // state, entity = device/check/name
	TypePing         Type = "net.ping.v1"               // metric, entity = device
	TypeCounters     Type = "net.interface.counters.v1" // metric, entity = device/if/index
	TypeTiming       Type = "net.check.timing.v1"       // metric, entity = device/check/name
	TypeLoad         Type = "host.load.v1"              // metric, entity = device

	// What a poller sends instead of repeating what is unchanged.
	TypeSeen         Type = "net.device.seen.v1"        // state, entity = device
	TypeCountersList Type = "net.interface.counters.v2" // metric, entity = device

	TypeReachabilityChanged Type = "net.reachability.changed.v1" // event, entity = device
	TypeInterfaceChanged    Type = "net.interface.changed.v1"    // event, entity = device/if/index
	TypeCheckChanged        Type = "net.check.changed.v1"        // event, entity = device/check/name
	TypeCertificateExpiring Type = "net.certificate.expiring.v1" // event, entity = device/check/name
	TypeRestarted           Type = "net.device.restarted.v1"     // event, entity = device
	TypeInventoryChanged    Type = "net.inventory.changed.v1"    // event, entity = device

	// The loss ledger has a type for every stream that a poller writes to.
	TypeLedgerEvent  Type = "midplane.ledger.event.v1"  // event, entity = poller
	TypeLedgerState  Type = "midplane.ledger.state.v1"  // state, entity = poller
	TypeLedgerMetric Type = "midplane.ledger.metric.v1" // metric, entity = poller

	// What a poller gave up since its outbox was at its limit.
	TypeOverflow Type = "midplane.outbox.overflowed.v1" // event, entity = poller

	// What the system reports about itself, site "_".
	TypeAlarm Type = "midplane.alarm.raised.v1" // event
)

// LedgerType returns the ledger type of kind k.
func LedgerType(k Kind) Type {
	switch k {
	case KindState:
		return TypeLedgerState
	case KindMetric:
		return TypeLedgerMetric
	}
	return TypeLedgerEvent
}

// Status of a device.
const (
	StatusUp      = "up"
	StatusDown    = "down"
	StatusUnknown = "unknown"
)

// Status of a check.
const (
	CheckOK       = "ok"
	CheckWarning  = "warning"
	CheckCritical = "critical"
	CheckUnknown  = "unknown"
)

// Declared is what a tenant's file declares about a device. The control plane
// publishes it, so that a device that was never polled shows as unknown.
type Declared struct {
	Device  Entity `json:"device"`
	Address string `json:"address,omitempty"`
	Name    string `json:"name,omitempty"`
	Poller  string `json:"poller,omitempty"`
	Removed bool   `json:"removed,omitempty"`
}

// Component is one part of a device's inventory (ENTITY-MIB entPhysicalTable,
// or a disk or CPU of a host).
type Component struct {
	Index  string `json:"index"`
	Class  string `json:"class"` // chassis, module, port, fan, powerSupply, cpu, disk, memory, other
	Name   string `json:"name,omitempty"`
	Model  string `json:"model,omitempty"`
	Serial string `json:"serial,omitempty"`
	Bytes  uint64 `json:"bytes,omitempty"` // disks and memory
}

// Inventory is what a device reports about itself.
type Inventory struct {
	Device      Entity      `json:"device"`
	Name        string      `json:"name,omitempty"`        // sysName, host name
	Description string      `json:"description,omitempty"` // sysDescr, OS and kernel
	ObjectID    string      `json:"objectId,omitempty"`    // sysObjectID
	Contact     string      `json:"contact,omitempty"`
	Location    string      `json:"location,omitempty"`
	OS          string      `json:"os,omitempty"`
	Model       string      `json:"model,omitempty"`
	Serial      string      `json:"serial,omitempty"`
	BootTime    *time.Time  `json:"bootTime,omitempty"`
	Components  []Component `json:"components,omitempty"`
}

// Reachability says whether a device answers.
type Reachability struct {
	Device  Entity  `json:"device"`
	Address string  `json:"address,omitempty"`
	Status  string  `json:"status"` // up or down
	Method  string  `json:"method"` // the collector's name
	RTT     float64 `json:"rttMs,omitempty"`
	Loss    float64 `json:"lossPercent,omitempty"`
	Message string  `json:"message,omitempty"`
}

// Interface is one interface's status.
type Interface struct {
	Device      Entity `json:"device"`
	Index       string `json:"index"`
	Name        string `json:"name"`
	Alias       string `json:"alias,omitempty"`
	AdminStatus string `json:"adminStatus"` // up, down, testing
	OperStatus  string `json:"operStatus"`  // up, down, testing, unknown, dormant, notPresent, lowerLayerDown
	Speed       uint64 `json:"speed"`       // bits per second, 0 = not known
	MTU         uint64 `json:"mtu,omitempty"`
	MAC         string `json:"mac,omitempty"`
}

// Check is the result of one check.
type Check struct {
	Device    Entity     `json:"device"`
	Name      string     `json:"name"`
	Collector string     `json:"collector"` // ping, tcp, http, …
	Target    string     `json:"target"`    // host:port or URL without credentials
	Status    string     `json:"status"`    // ok, warning, critical, unknown
	Message   string     `json:"message,omitempty"`
	Latency   float64    `json:"latencyMs,omitempty"`
	NotAfter  *time.Time `json:"notAfter,omitempty"` // TLS certificate's expiry
}

// Ping is one round of echo requests.
type Ping struct {
	RTT    float64 `json:"rttMs"`
	Loss   float64 `json:"lossPercent"`
	Jitter float64 `json:"jitterMs,omitempty"`
}

// Counters are an interface's totals since it came up.
type Counters struct {
	InOctets    uint64 `json:"inOctets"`
	OutOctets   uint64 `json:"outOctets"`
	InPackets   uint64 `json:"inPackets"`
	OutPackets  uint64 `json:"outPackets"`
	InErrors    uint64 `json:"inErrors"`
	OutErrors   uint64 `json:"outErrors"`
	InDiscards  uint64 `json:"inDiscards"`
	OutDiscards uint64 `json:"outDiscards"`
}

// Timing is how long the parts of a check took.
type Timing struct {
	Total     float64 `json:"totalMs"`
	Connect   float64 `json:"connectMs,omitempty"`
	TLS       float64 `json:"tlsMs,omitempty"`
	FirstByte float64 `json:"firstByteMs,omitempty"`
}

// Load is how busy a host is.
type Load struct {
	CPU       float64 `json:"cpuPercent"`
	Load1     float64 `json:"load1"`
	Load5     float64 `json:"load5"`
	Load15    float64 `json:"load15"`
	MemUsed   uint64  `json:"memUsedBytes"`
	MemTotal  uint64  `json:"memTotalBytes"`
	DiskUsed  uint64  `json:"diskUsedBytes"`
	DiskTotal uint64  `json:"diskTotalBytes"`
	Uptime    uint64  `json:"uptimeSeconds"`
}

// Changed is the payload of the *.changed and restarted events.
type Changed struct {
	Device  Entity `json:"device"`
	Name    string `json:"name,omitempty"` // interface or check
	From    string `json:"from"`
	To      string `json:"to"`
	Message string `json:"message"`
}

// CertificateExpiring warns of a certificate close to its end.
type CertificateExpiring struct {
	Device   Entity    `json:"device"`
	Name     string    `json:"name"`
	Target   string    `json:"target"`
	NotAfter time.Time `json:"notAfter"`
	Days     int       `json:"days"`
	Message  string    `json:"message"`
}

// Tombstone is a range of sequences whose messages a poller gave up on purpose.
type Tombstone struct {
	Epoch  int64  `json:"epoch"`
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	Reason string `json:"reason"` // full, superseded, refused; of metrics also thinned
}

// Ledger is a poller's account of one stream: everything up to Low is
// acknowledged or in a tombstone.
type Ledger struct {
	Stream     string      `json:"stream"`
	Epoch      int64       `json:"epoch"`
	Low        uint64      `json:"low"`
	Tombstones []Tombstone `json:"tombstones"`
}

// Overflow says what a poller gave up while its outbox was at its limit.
type Overflow struct {
	Epoch   int64     `json:"epoch"`
	From    time.Time `json:"from"`  // when the first message was given up
	Until   time.Time `json:"until"` // when half of the outbox was free again
	GivenUp []GivenUp `json:"givenUp"`
	Message string    `json:"message"`
}

// GivenUp is what was given up of one stream for one reason. Not every sequence from
// From to To need be among it: the tombstones of the ledger say which are.
type GivenUp struct {
	Stream   string    `json:"stream"`
	Reason   string    `json:"reason"` // full, superseded, refused, thinned
	Messages uint64    `json:"messages"`
	From     uint64    `json:"from"`   // lowest sequence
	To       uint64    `json:"to"`     // highest sequence
	Oldest   time.Time `json:"oldest"` // when the oldest and the newest of them were found
	Newest   time.Time `json:"newest"`
}

// Alarm is a report of the system about itself that must not go unnoticed.
type Alarm struct {
	Alarm   string `json:"alarm"`  // a word: gap, purged-ahead, cursor-ahead, backlog, hole, …
	Source  string `json:"source"` // the part that found it
	Stream  string `json:"stream,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	From    uint64 `json:"from,omitempty"`
	To      uint64 `json:"to,omitempty"`
}
