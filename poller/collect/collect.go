// Package collect declares what a collector is: something that looks at one
// device on a schedule and says what it saw through Emit.
//
// Each collector has a folder of its own; package collect/all is the list of
// them and package collect/collecttest the exam that every one passes. This
// package does no I/O but reading secrets that a reference names. It may
// import api, event and fault.
package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"midplane/api"
	"midplane/event"
)

// Target is one thing to look at: a device, and the check that asks for it.
type Target struct {
	Device    event.Entity
	Name      string // the device's display name, may be empty
	Address   string // host name or IP address, without a port
	Check     string // the check's name, unique within the device
	Collector string // the collector's name, as in package all

	// Timeout is how long the collector may work on the network. The context
	// of a run lasts a little longer, so that "no answer in time" can still be
	// emitted.
	Timeout time.Duration

	// Params are the collector's own; each collector's README lists them.
	Params map[string]string

	// SNMP is how to talk to the device's agent, nil when it has none. Its
	// community and secrets are references: resolve them with Target.Secret,
	// late, and keep the value nowhere.
	SNMP *api.SNMP

	// Secrets returns the value of a secret that the control plane keeps; nil
	// when there are none. The scheduler sets it for each run.
	Secrets func(name string) (string, error)
}

// Entity returns the id of the check: "<device>/check/<name>".
func (t Target) Entity() event.Entity { return t.Device.Check(t.Check) }

// Emit hands over what was seen. It returns when all of it is safe in the
// outbox; the messages of one call are committed together or not at all.
type Emit func(ctx context.Context, e ...event.Event) error

// Collector looks at a target when it is asked to. What it finds wrong with
// the target is a finding and is emitted (a state "down" or "critical"); an
// error means that it could not look at all (a parameter that makes no sense,
// a missing permission). It must honour ctx and Target.Timeout, leave nothing
// running, and be safe for concurrent use on different targets.
type Collector interface {
	Collect(ctx context.Context, t Target, emit Emit) error
}

// State returns the message "this is how entity is now", seen just now.
// payload is one of package event's; see build for what cannot be encoded.
func State(entity event.Entity, typ event.Type, payload any) event.Event {
	return build(event.KindState, "", entity, typ, payload)
}

// Metric returns a sample of entity, taken just now.
func Metric(entity event.Entity, typ event.Type, payload any) event.Event {
	return build(event.KindMetric, "", entity, typ, payload)
}

// Happened returns the message "this happened to entity just now".
func Happened(severity event.Severity, entity event.Entity, typ event.Type, payload any) event.Event {
	return build(event.KindEvent, severity, entity, typ, payload)
}

// build panics when payload has no JSON form (a NaN, a channel): that is a
// mistake in the collector, never the network's doing, and the scheduler
// reports a panic as the error of that run.
func build(kind event.Kind, severity event.Severity, entity event.Entity, typ event.Type, payload any) event.Event {
	data, err := json.Marshal(payload)
	if err != nil {
		panic(fmt.Sprintf("payload of %s about %q: %v", typ, entity, err))
	}
	return event.Event{
		Kind: kind, Severity: severity, Entity: entity, Type: typ,
		Time: time.Now().UTC(), Data: data,
	}
}

// Milliseconds returns d in milliseconds, rounded to a microsecond, which is
// what payloads carry.
func Milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// Ended returns why ctx has ended, or nil. A socket whose deadline is that of
// ctx may notice it a moment before ctx does; that counts as the end too. A
// collector asks before it emits: having been stopped is no finding.
func Ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if at, ok := ctx.Deadline(); ok && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return nil
}
