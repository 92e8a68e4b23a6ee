// Package host looks at the machine that the poller runs on: what it is, how
// its interfaces are and how busy it is. It is the only importer of the host
// library; besides it may import collect, event and fault.
package host

import (
	"context"
	"errors"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
)

// Collector is the host collector.
type Collector struct{}

// New returns the collector.
func New() Collector { return Collector{} }

// Collect reads the machine's own tables. Inventory, interfaces and load are
// each emitted whole or not at all; what could not be read is the error, after
// the rest has been emitted.
func (Collector) Collect(ctx context.Context, t collect.Target, emit collect.Emit) error {
	p := collect.ReadParams(t)
	owns := p.Reachability(true)
	if err := p.Err(); err != nil {
		return err
	}
	looking, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	var out []event.Event
	if owns {
		out = append(out, collect.State(t.Device, event.TypeReachability, event.Reachability{
			Device: t.Device, Address: t.Address, Status: event.StatusUp, Method: "host"}))
	}
	parts := []struct {
		name string
		look func(context.Context, collect.Target) ([]event.Event, error)
	}{{"inventory", inventory}, {"interfaces", interfaces}, {"load", load}}
	var problems []error
	for _, part := range parts {
		events, err := part.look(looking, t)
		if err != nil {
			problems = append(problems, fault.Wrap(fault.Other, err, "read this machine's %s", part.name))
			continue
		}
		out = append(out, events...)
	}
	if err := collect.Ended(ctx); err != nil {
		return err
	}
	if err := emit(ctx, out...); err != nil {
		return err
	}
	return errors.Join(problems...)
}

// sampleTime is over how long the CPU is watched, at most.
const sampleTime = 500 * time.Millisecond
