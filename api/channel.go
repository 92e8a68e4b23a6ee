package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/fault"
	"midplane/subject"
)

// Verbs of the control channel, which a tenant's users request inside their own
// account: control.<user>.<verb>.
const (
	ChannelConfig = "config" // ConfigRequest → PollerConfig
	ChannelParts  = "parts"  // ConfigParts → PartsAnswer; each part is a list of PollerDevice
	ChannelStatus = "status" // PollerReport → {}
	ChannelRenew  = "renew"  // RenewRequest → Renewed
)

// Signed is the body of every request of the control channel. A user that may
// fetch messages can aim a delivery at control.<other>.…, so a request counts
// only with the signature of the user's own key over SignedBytes.
type Signed struct {
	Body      json.RawMessage `json:"body"`
	Time      time.Time       `json:"time"`
	Signature []byte          `json:"signature"`
}

// MaxClockSkew is how far Signed.Time may be from the service's clock.
const MaxClockSkew = 5 * time.Minute

// SignedBytes returns the bytes to sign: user, verb, time and body, one a line.
func SignedBytes(user, verb string, at time.Time, body []byte) []byte {
	b := make([]byte, 0, len(user)+len(verb)+len(body)+40)
	b = append(b, user...)
	b = append(b, '\n')
	b = append(b, verb...)
	b = append(b, '\n')
	b = at.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, '\n')
	return append(b, body...)
}

// Channel is the client of the control channel.
type Channel struct {
	nc   *nats.Conn
	user string
	sign func([]byte) ([]byte, error)
}

// NewChannel returns a client for user; sign signs with that user's key.
func NewChannel(nc *nats.Conn, user string, sign func([]byte) ([]byte, error)) *Channel {
	return &Channel{nc: nc, user: user, sign: sign}
}

// Do requests one verb.
func (c *Channel) Do(ctx context.Context, verb string, req, resp any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "encode %s", verb)
	}
	at := time.Now().UTC()
	sig, err := c.sign(SignedBytes(c.user, verb, at, body))
	if err != nil {
		return fault.Wrap(fault.Other, err, "sign %s", verb)
	}
	return Call(ctx, c.nc, subject.ControlOf(c.user, verb), Signed{Body: body, Time: at, Signature: sig}, resp)
}

// RenewRequest asks for a new JWT for the key that signs the request.
type RenewRequest struct{}

// Renewed is the new JWT, and the subscriptions it binds the user to.
type Renewed struct {
	JWT           string    `json:"jwt"`
	Expires       time.Time `json:"expires"`
	Subscriptions []string  `json:"subscriptions"`
}

// ConfigRequest asks for the poller's configuration. Want is the revision that a
// hint named: the service answers from a registry at least that new. Reads names
// parts of the answer that this poller understands and older pollers do not; the
// service leaves out the parts that are not named. A service that does not know
// the field refuses the request, and the poller repeats it without the field.
type ConfigRequest struct {
	Have  uint64   `json:"have"`
	Want  uint64   `json:"want,omitempty"`
	Reads []string `json:"reads,omitempty"`
}

// ReadsFormats in ConfigRequest.Reads says that the poller understands
// PollerConfig.Formats.
const ReadsFormats = "formats"

// ReadsTypes in ConfigRequest.Reads says that the poller understands
// PollerConfig.Types.
const ReadsTypes = "types"

// PollerConfig is everything a poller needs to work. Unchanged means that Have is
// current and the rest is left out. References to secrets are as the tenant's
// file has them ("env:NAME", "file:PATH", "secret:NAME"); the poller resolves them.
type PollerConfig struct {
	Unchanged bool           `json:"unchanged,omitempty"`
	Revision  uint64         `json:"revision"`
	Tenant    event.Tenant   `json:"tenant,omitempty"`
	Site      event.Site     `json:"site,omitempty"`
	Poller    event.Producer `json:"poller,omitempty"`
	Devices   []PollerDevice `json:"devices,omitempty"`
	// Parts name the parts that the devices are in, when they are too many for one
	// answer and the poller reads parts. Devices is then left out.
	Parts []string `json:"parts,omitempty"`
	Pace  *Pace    `json:"pace,omitempty"` // also when Unchanged; nil: not known

	// Types are the versions of Midplane's own types that the ingress of every
	// node accepts, where they are above 1. Also sent when Unchanged.
	Types map[event.Type]int `json:"types,omitempty"`

	// Polls has the poller send changes and heartbeats; nil: it sends every state
	// with every poll. Also sent when Unchanged.
	Polls *Polls `json:"polls,omitempty"`

	// Formats are the lowest numbers of all live nodes: the poller sends them
	// nothing that these do not cover. Also when Unchanged.
	Formats Formats `json:"formats,omitempty"`
}

// What fits into one answer with a configuration: maxConfig bytes of JSON, and so
// few devices in any case.
const (
	maxConfig  = 1<<20 - 32<<10
	fewDevices = 200
)

// Fits returns an error when a configuration is too large for one answer, which is
// all that older pollers take.
func (c PollerConfig) Fits() error {
	if len(c.Devices) <= fewDevices {
		return nil
	}
	data, err := json.Marshal(c)
	if err == nil && len(data) > maxConfig {
		return fault.WithHint(fault.New(fault.Exhausted, "the configuration of poller %s has %d devices, and its version takes only what fits into one message", c.Poller, len(c.Devices)),
			"replace the poller's program by one of the nodes' version")
	}
	return fault.Wrap(fault.Other, err, "encode a configuration")
}

// ConfigParts asks for parts of the poller's configuration, which came at Revision.
type ConfigParts struct {
	Revision uint64   `json:"revision"`
	Parts    []string `json:"parts"`
}

// PollerDevice is one device to watch.
type PollerDevice struct {
	ID      event.Entity  `json:"id"`
	Name    string        `json:"name,omitempty"`
	Address string        `json:"address"`
	SNMP    *SNMP         `json:"snmp,omitempty"`
	Checks  []PollerCheck `json:"checks"`
}

// PollerCheck is one check of a device on a schedule. Params are the collector's
// own ("port", "url", "warnDays", …).
type PollerCheck struct {
	Name      string            `json:"name"`
	Collector string            `json:"collector"`
	Interval  Duration          `json:"interval"`
	Timeout   Duration          `json:"timeout"`
	Params    map[string]string `json:"params,omitempty"`
}

// SNMP is how to talk to a device's agent. Community and the two secrets are
// references, never values.
type SNMP struct {
	Version       string `json:"version"`        // "2c" or "3"
	Port          int    `json:"port,omitempty"` // 161
	Community     string `json:"community,omitempty"`
	User          string `json:"user,omitempty"`
	AuthProtocol  string `json:"authProtocol,omitempty"` // MD5 SHA SHA224 SHA256 SHA384 SHA512
	AuthSecret    string `json:"authSecret,omitempty"`
	PrivProtocol  string `json:"privProtocol,omitempty"` // DES AES AES192 AES256 AES192C AES256C
	PrivSecret    string `json:"privSecret,omitempty"`
	Context       string `json:"context,omitempty"`
	MaxRepetition int    `json:"maxRepetitions,omitempty"`
}

// PollerReport is what a poller reports about itself, every 5 seconds and, as long as nothing changes, every 10.
type PollerReport struct {
	Version  string `json:"version"`
	Epoch    int64  `json:"epoch"`
	Revision uint64 `json:"revision"` // of the configuration it works with
	Outbox   int64  `json:"outbox"`   // messages waiting
	OldestMS int64  `json:"oldestMs"` // age of the oldest of them
	Problem  string `json:"problem,omitempty"`
	Held     *Held  `json:"held,omitempty"` // left out for a service that does not know it

	// Thinned is what the poller gives up of its metrics; left out for a service that
	// does not know it.
	Thinned *Thinned `json:"thinned,omitempty"`

	// Overflow is what the poller gave up since its outbox is at its limit; left out for a
	// service that does not know it.
	Overflow *Overflow `json:"overflow,omitempty"`

	// Outgoing is what the outbox has for each stream; left out for a service that does
	// not know it.
	Outgoing []Outgoing `json:"outgoing,omitempty"`

	// What the poller understands; sent when all nodes read it.
	Formats Formats            `json:"formats,omitempty"`
	Types   map[event.Type]int `json:"types,omitempty"`
}

// Thinned says that METRICS takes nothing, and that a poller keeps one sample in two
// of those that wait, again and again. It is reported for ten minutes after the last.
type Thinned struct {
	Samples uint64    `json:"samples"` // given up since Since
	Since   time.Time `json:"since"`
}

// Overflow says that a poller's outbox is at its limit, and that messages are given up.
// It is reported until half of the outbox is free again; then an event says what was
// given up (event.TypeOverflow).
type Overflow struct {
	Messages uint64    `json:"messages"` // given up since Since
	Since    time.Time `json:"since"`
}

// Hint is the message on hint.<poller>: the poller should ask now for a
// configuration of at least Revision and, when Secrets is given, for secrets
// from a registry at least that new.
type Hint struct {
	Revision uint64 `json:"revision"`
	Secrets  uint64 `json:"secrets,omitempty"`
}

// Send publishes the hint to a poller, on a connection into its tenant's account.
func (h Hint) Send(nc *nats.Conn, poller string) error {
	data, err := json.Marshal(h)
	if err != nil {
		return fault.Wrap(fault.Other, err, "encode a hint")
	}
	return fault.Wrap(fault.Unavailable, nc.Publish(subject.Hint(poller), data), "hint to %s", poller)
}

// Duration is a time.Duration written as in Go ("30s") in JSON and YAML.
type Duration time.Duration

// MarshalText writes the duration as time.Duration prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads, and "7d" for days.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	if n := len(s); n > 1 && s[n-1] == 'd' {
		if days, err := time.ParseDuration(s[:n-1] + "h"); err == nil {
			*d = Duration(24 * days)
			return nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%q is not a duration", s), `write it like "30s", "5m", "24h" or "7d"`)
	}
	*d = Duration(v)
	return nil
}

// Std returns d as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }
