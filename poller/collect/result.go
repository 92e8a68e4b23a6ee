package collect

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"midplane/event"
)

// Result is what a check found: its state and, when it owns it, the
// reachability of the device.
type Result struct {
	Check  event.Check
	Timing event.Timing

	Owns     bool // the check decides whether the device is up
	Answered bool // the device answered, even if with an error
	Unasked  bool // the device was never asked (its name does not resolve)

	RTT float64 // of the first exchange, in milliseconds
}

// NewResult begins a result for t that is "ok".
func NewResult(t Target, target string, owns bool) *Result {
	return &Result{Owns: owns, Check: event.Check{
		Device: t.Device, Name: t.Check, Collector: t.Collector, Target: target, Status: event.CheckOK}}
}

// Set records a status, unless a worse one is there, and adds to the message.
func (r *Result) Set(status, message string) {
	if worse(status, r.Check.Status) {
		r.Check.Status = status
	}
	switch {
	case message == "":
	case r.Check.Message == "":
		r.Check.Message = Clip(message)
	default:
		r.Check.Message = Clip(r.Check.Message + "; " + message)
	}
}

// maxMessage is the longest message in runes.
const maxMessage = 400

// Clip shortens a text that came from elsewhere to what a message may hold.
func Clip(s string) string {
	if runes := []rune(s); len(runes) > maxMessage {
		return string(runes[:maxMessage-1]) + "…"
	}
	return s
}

func worse(a, b string) bool { return rank(a) > rank(b) }

func rank(status string) int {
	for i, s := range []string{event.CheckOK, event.CheckUnknown, event.CheckWarning, event.CheckCritical} {
		if s == status {
			return i
		}
	}
	return -1
}

// Events returns the messages of the result: the check's state, its timing
// when something answered, and the device's reachability when it owns it.
func (r *Result) Events(t Target) []event.Event {
	r.Check.Latency = r.Timing.Total
	if !r.Answered {
		r.Check.Latency = 0
	}
	out := []event.Event{State(t.Entity(), event.TypeCheck, r.Check)}
	if r.Answered {
		out = append(out, Metric(t.Entity(), event.TypeTiming, r.Timing))
	}
	if !r.Owns || r.Unasked {
		return out
	}
	up := event.Reachability{Device: t.Device, Address: t.Address, Method: t.Collector, Status: event.StatusUp}
	if r.Answered {
		up.RTT = r.RTT
	} else {
		up.Status, up.Message, up.Loss = event.StatusDown, r.Check.Message, 100
	}
	return append(out, State(t.Device, event.TypeReachability, up))
}

// Reason says in a few stable words why a network operation failed: without
// local ports and other things that change with every run, since a message
// that changes looks like news.
func Reason(err error, timeout time.Duration) string {
	var errno syscall.Errno
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return "the name " + dns.Name + " does not resolve"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return "no answer within " + timeout.String()
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &op) && op.Err != nil:
		return op.Err.Error()
	}
	return err.Error()
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// Unresolved reports whether err is a name that does not resolve.
func Unresolved(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns)
}
