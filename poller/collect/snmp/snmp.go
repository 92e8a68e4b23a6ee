// Package snmp asks a device's SNMP agent (v2c or v3) what the device is, how
// its interfaces are and what they have carried.
//
// It is the only importer of the SNMP library. Besides that it may import api,
// collect, event and fault.
package snmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gosnmp/gosnmp"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
)

// Collector is the snmp collector.
type Collector struct {
	buffers *sync.Pool // of *[]byte, each for the largest datagram
}

// New returns the collector.
func New() Collector {
	const largest = 65535 // bytes
	return Collector{buffers: &sync.Pool{New: func() any { b := make([]byte, largest); return &b }}}
}

// Collect reads the system group, the interface tables and, where offered, the
// entity table. A table that cannot be read whole is left out, with a warning:
// half of one would look as if interfaces or modules had been taken out.
func (c Collector) Collect(ctx context.Context, t collect.Target, emit collect.Emit) error {
	p := collect.ReadParams(t)
	owns := p.Reachability(false)
	if err := p.Err(); err != nil {
		return err
	}
	g, err := client(t)
	if err != nil {
		return err
	}
	looking, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	ip, err := collect.Resolve(looking, t.Address)
	if err != nil {
		return err
	}
	g.Target, g.Context = ip.String(), looking
	r := collect.NewResult(t, net.JoinHostPort(t.Address, strconv.Itoa(int(g.Port))), owns)
	s, err := c.open(looking, g)
	if err != nil {
		return err
	}
	defer s.close(c)
	found := s.look(t, r)
	if err := collect.Ended(ctx); err != nil {
		return err
	}
	return emit(ctx, append(r.Events(t), found...)...)
}

// look asks for everything and returns what was found beside the result r.
func (s *session) look(t collect.Target, r *collect.Result) []event.Event {
	began := time.Now()
	defer func() { r.Timing.Total = collect.Milliseconds(time.Since(began)) }()
	sys, err := s.system()
	r.Timing.FirstByte = collect.Milliseconds(time.Since(began))
	r.RTT = r.Timing.FirstByte
	if err != nil {
		// Who says that the name or the key is wrong is there.
		r.Answered = refused(err)
		r.Set(event.CheckCritical, explain(err, t.Timeout))
		return nil
	}
	r.Answered = true
	inventory := sys.inventory(t.Device, time.Now())

	var out []event.Event
	components, err := s.components()
	if err == nil {
		components.addTo(&inventory)
		if left := len(components) - maxComponents; left > 0 {
			r.Set(event.CheckWarning, fmt.Sprintf("%d of the components are left out", left))
		}
		out = append(out, collect.State(t.Device, event.TypeInventory, inventory))
	} else {
		r.Set(event.CheckWarning, "inventory left out: entity table: "+explain(err, t.Timeout))
	}
	interfaces, err := s.interfaces()
	if err != nil {
		r.Set(event.CheckWarning, "interfaces left out: "+explain(err, t.Timeout))
		return out
	}
	for _, i := range interfaces {
		out = append(out, i.events(t.Device)...)
	}
	if r.Check.Message == "" {
		r.Set(event.CheckOK, fmt.Sprintf("%d interfaces", len(interfaces)))
	}
	return out
}

// refusals are the reports of an agent that is there and does not trust us.
var refusals = []struct {
	err  error
	says string
}{
	{gosnmp.ErrUnknownUsername, "the agent does not know the user"},
	{gosnmp.ErrWrongDigest, "the agent refuses the authentication: wrong secret or protocol"},
	{gosnmp.ErrDecryption, "the agent cannot decrypt: wrong privacy secret or protocol"},
	{gosnmp.ErrUnknownSecurityLevel, "the agent does not offer this security level to the user"},
	{gosnmp.ErrUnknownSecurityModels, "the agent does not speak SNMPv3's user-based security"},
	{gosnmp.ErrNotInTimeWindow, "the agent's clock of engine time does not fit"},
	{gosnmp.ErrUnknownEngineID, "the agent does not accept its own engine id"},
	{gosnmp.ErrInvalidMsgs, "the agent calls the request invalid"},
	{gosnmp.ErrUnknownPDUHandlers, "the agent has no such context"},
	{gosnmp.ErrUnknownReportPDU, "the agent refuses with an unknown report"},
}

// unauthentic is in the library's error, which has no name, for an answer that
// is not signed with our key. An agent's own refusals come unsigned too, since
// it has no key in common with us.
const unauthentic = "not authentic"

func refused(err error) bool {
	if strings.Contains(err.Error(), unauthentic) {
		return true
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return true
		}
	}
	var classed *fault.Error
	return errors.As(err, new(agentError)) || errors.As(err, &classed) && classed.Kind == fault.NotFound
}

// explain says what went wrong in words that stay the same from run to run.
func explain(err error, timeout time.Duration) string {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.says
		}
	}
	switch {
	case strings.Contains(err.Error(), unauthentic):
		return "the agent does not answer in kind: wrong user, authentication secret or protocol"
	case errors.Is(err, gosnmp.ErrMaxRetriesExceeded):
		return fmt.Sprintf("no answer to %d requests: is the agent on, is the community or user right, may this poller ask?", retries+1)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("not all answers came within %s", timeout)
	case errors.As(err, new(*fault.Error)):
		return err.Error()
	}
	return collect.Reason(err, timeout)
}
