// Package store says what a primary needs of its database, as small interfaces
// for those who use it, and what every implementation shares: the bounds of a
// batch and of an answer, and the words for what is kept beside what was folded.
// Package storetest is the exam that an implementation passes, package sqlite
// the one there is.
//
// It may import api, fold and what is below them, and opens nothing.
package store

import (
	"context"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
)

// Options are the same for every implementation.
type Options struct {
	EventDays int              // how long the event log is kept; 0 = DefaultEventDays
	Source    string           // event.Alarm.Source of what is found
	Now       func() time.Time // nil = time.Now
}

// DefaultEventDays is how long the event log is kept when the options name no time.
const DefaultEventDays = 30

// MaxBatch is the largest batch of Folder.Apply, in messages.
const MaxBatch = 1000

// EnoughRows ends a batch before it has MaxBatch messages: one message may become
// many rows (fold.Message.Rows), and what else is to be written waits for the
// transaction.
const EnoughRows = 5000

// Folder takes what is read from the streams. Every change is one transaction,
// which is on disk when the call returns nil. The error is Unavailable when the
// database is busy, Exhausted when the disk is full: then the same call may
// succeed later. It is Invalid when the batch or the database is bad.
type Folder interface {
	// Cursors returns a tenant's cursors, by stream.
	Cursors(ctx context.Context, tenant event.Tenant) (map[string]fold.Cursor, error)

	// Begin decides where to read a stream on from, given what its leader says
	// it keeps (fold.Begin), and records the cursor and what was found. ok is
	// false when the stream must not be read (fold.Ahead).
	Begin(ctx context.Context, tenant event.Tenant, stream string, e fold.Extent) (c fold.Cursor, found []fold.Finding, ok bool, err error)

	// Apply folds messages of one tenant, each stream's in its order, and commits
	// the changes with the cursors, all or nothing. What was folded before changes
	// nothing.
	Apply(ctx context.Context, tenant event.Tenant, msgs []fold.Message) (fold.Result, error)

	// Find records findings that are not a message's. One that is known already
	// is not recorded again.
	Find(ctx context.Context, tenant event.Tenant, found ...fold.Finding) error
}

// Tenant is what is remembered of one. Account is the public key of the account
// that was read: the same id with another one is another customer.
type Tenant struct {
	Name    string
	Account string
	Deleted bool
}

// Tenants remembers which tenants were read.
type Tenants interface {
	// Tenants returns the tenants that were ever named.
	Tenants(ctx context.Context) (map[event.Tenant]Tenant, error)

	// PutTenant remembers a tenant; a deleted one is hidden from every list. When
	// an id is used again, by another account or after it was deleted, it is another
	// tenant: what was known of the old one's devices and streams is dropped first,
	// its event log ages away.
	PutTenant(ctx context.Context, id event.Tenant, t Tenant) error
}

// Pending is a finding that the control plane does not know yet.
type Pending struct {
	Pos    int64
	Tenant event.Tenant
	fold.Finding
}

// Findings keeps what was found until the control plane knows it.
type Findings interface {
	// Unreported returns the oldest findings that the control plane does not know.
	Unreported(ctx context.Context, limit int) ([]Pending, error)

	// Reported notes that the control plane knows the finding at pos.
	Reported(ctx context.Context, pos int64) error
}

// Inventory is what is known of devices and their parts. What was removed, and
// what belongs to a deleted tenant, is in none of the answers. Pages are by
// tenant, site and id, those of devices also by status. What a page costs depends
// on its size, not on how much is known: a name, a beginning of names, a tenant and a
// page's place are looked up, devices are found without reading them, and what is
// found by status or words of interfaces and checks is looked for in bounded parts, so
// that a page may be empty and have a next.
type Inventory interface {
	Devices(ctx context.Context, req api.ListRequest) (api.Page[api.Device], error)

	// DeviceChanges returns which devices of a list have changed since a position.
	// Positions are kept while the database is open. What a tenant's changes are
	// asked for says nothing of other tenants, but for the number of the position.
	DeviceChanges(ctx context.Context, req api.ChangesRequest) (api.Changes, error)

	Interfaces(ctx context.Context, req api.ListRequest) (api.Page[api.Interface], error)
	Checks(ctx context.Context, req api.ListRequest) (api.Page[api.Check], error)

	// Device returns everything that is known of one device, without the line for
	// people of its events. The error is NotFound.
	Device(ctx context.Context, ref api.DeviceRef) (api.DeviceDetail, error)
}

// State is the newest state that a lane says of an entity.
type State struct {
	Entity event.Entity
	Type   event.Type
	Winner bool // it is what counts of the entity; another sender's does otherwise
	fold.Version
}

// DeviceLane names what a producer's outbox says of a device of a tenant.
type DeviceLane struct {
	Tenant event.Tenant
	fold.DeviceLane
}

// Lanes is what is kept of states by who sent them through an outbox, the winning
// ones and the others. What was removed, and what belongs to a deleted tenant, is in
// none of the answers.
type Lanes interface {
	// Lane returns the states of a device and its parts, its heartbeat among them,
	// as they were at one moment.
	Lane(ctx context.Context, lane DeviceLane) ([]State, error)

	// Beating returns lanes that have a heartbeat, those behind after, in an order
	// that stays; fewer than limit at the end.
	Beating(ctx context.Context, after DeviceLane, limit int) ([]DeviceLane, error)
}

// Gap is what is missing of one producer in one epoch and stream.
type Gap struct {
	Tenant event.Tenant
	fold.LedgerKey
	Missing fold.Ranges
}

// Accounts is the loss ledger. What belongs to a deleted tenant is in none of the
// answers.
type Accounts interface {
	// Accounts returns one page by tenant, site and id. What waits in outboxes is not
	// known here, and left out.
	Accounts(ctx context.Context, req api.ListRequest) (api.Page[api.Account], error)

	// Gaps returns all that was found missing and has not come since.
	Gaps(ctx context.Context) ([]Gap, error)
}

// EventLog is the log of all tenants' events, by position.
type EventLog interface {
	// Events returns one page of the log, oldest first, without the line for
	// people. Next is "" on the last page.
	Events(ctx context.Context, req api.EventRequest) (api.Page[api.Event], error)

	// End returns the last position that was given.
	End(ctx context.Context) (uint64, error)

	// Changed returns a channel that is closed at the next commit that grew the log.
	Changed() <-chan struct{}
}

// Troubles is what is wrong: in the network, and with what was read.
type Troubles interface {
	// Sites returns, by tenant, the sites where a device is down or a check is not ok.
	Sites(ctx context.Context) (map[string][]api.SiteReport, error)

	// Counts returns how many devices of each tenant have which status.
	Counts(ctx context.Context) (map[string]api.DeviceCounts, error)

	// Alarms returns the newest alarms, newest first.
	Alarms(ctx context.Context, limit int) ([]event.Alarm, error)
}

// Pruner keeps the database bounded.
type Pruner interface {
	// Prune removes what is older than the event log is kept: events, reported
	// alarms, series without a sample since, and entities that were mentioned but
	// never described. It returns how many rows it removed.
	Prune(ctx context.Context) (int64, error)
}
