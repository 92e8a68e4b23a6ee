package api

import (
	"context"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/subject"
)

// Verbs of the core service, which primaries request: core.<name>.<verb>.
const (
	CoreTenants     = "tenants"     // CoreTenantsRequest → CoreTenantsAnswer; long poll
	CoreCredentials = "credentials" // CoreCredentialsRequest → CoreCredentialsAnswer
	CoreCursor      = "cursor"      // CursorReport → {}
	CoreFinding     = "finding"     // Finding → {}
)

// CoreTenantsRequest asks for the tenants; the answer waits, up to FollowWait,
// until the registry is past revision Known.
type CoreTenantsRequest struct {
	Known uint64 `json:"known"`
}

// CoreTenantsAnswer is every tenant that a primary should read.
type CoreTenantsAnswer struct {
	Revision uint64       `json:"revision"`
	Tenants  []CoreTenant `json:"tenants"`
	Formats  Formats      `json:"formats,omitempty"` // in use; an older node leaves it out
}

// CoreTenant is one tenant to read. Incarnations has one entry per stream; when
// its number has risen, the stream was created again or restored, and sequences
// from before mean nothing any more. Lines are the one-line renderings of the
// tenant's own types. The primary hides deleted tenants.
type CoreTenant struct {
	Tenant       event.Tenant      `json:"tenant"`
	Name         string            `json:"name"`
	Account      string            `json:"account"`
	Incarnations map[string]uint64 `json:"incarnations"`
	Lines        map[string]string `json:"lines,omitempty"`
	Deleted      bool              `json:"deleted,omitempty"`
}

// CoreCredentialsRequest asks for the JWT of user "midplane-primary-<name>" in
// the tenant's account; the key pair stays with the primary.
type CoreCredentialsRequest struct {
	Tenant    event.Tenant `json:"tenant"`
	PublicKey string       `json:"publicKey"`
}

// CoreCredentialsAnswer carries the JWT and the user's name, below whose inbox the
// primary may listen. The primary asks for another JWT before three quarters of
// Life are over.
type CoreCredentialsAnswer struct {
	JWT  string   `json:"jwt"`
	User string   `json:"user"`
	Life Duration `json:"life"`
}

// CursorReport is what a primary has committed. The primary reports it at most
// every 5 seconds and at least every 30, and at once when it begins to read.
type CursorReport struct {
	Tenant  event.Tenant `json:"tenant"`
	Reading bool         `json:"reading"`
	Cursors []Cursor     `json:"cursors"`
}

// Cursor is the last folded sequence of a stream.
type Cursor struct {
	Stream      string `json:"stream"`
	Incarnation uint64 `json:"incarnation"`
	Seq         uint64 `json:"seq"`
}

// Finding is an alarm that a primary raises. The control plane publishes it as an
// event of the tenant, whose id comes from ID: a second report is a duplicate.
type Finding struct {
	Tenant   event.Tenant   `json:"tenant"`
	ID       string         `json:"id"` // [A-Za-z0-9_/-], at most 200 bytes; the same finding, the same id
	Severity event.Severity `json:"severity"`
	Alarm    event.Alarm    `json:"alarm"`
}

// Core is the client of the core service.
type Core struct {
	nc   *nats.Conn
	name string
}

// NewCore returns a client that asks as name, the connection's user.
func NewCore(nc *nats.Conn, name string) *Core { return &Core{nc: nc, name: name} }

// Do requests one verb.
func (c *Core) Do(ctx context.Context, verb string, req, resp any) error {
	return Call(ctx, c.nc, subject.Request(subject.DoorCore, c.name, verb), req, resp)
}
