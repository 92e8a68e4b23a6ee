// Package dns checks a DNS server: does it answer a question, with the right
// records, how fast, and authenticated when that is asked for.
//
// It is the only importer of the DNS library; besides it may import collect
// and event.
package dns

import (
	"context"

	"midplane/poller/collect"
)

// Collector is the dns collector.
type Collector struct{}

// New returns the collector.
func New() Collector { return Collector{} }

// Collect asks one question, over TCP too when the answer does not fit into a
// datagram.
func (Collector) Collect(ctx context.Context, t collect.Target, emit collect.Emit) error {
	o, err := read(t)
	if err != nil {
		return err
	}
	r := collect.NewResult(t, o.shown(), o.owns)
	ask(ctx, o, t.Timeout, r)
	if err := collect.Ended(ctx); err != nil {
		return err
	}
	return emit(ctx, r.Events(t)...)
}
