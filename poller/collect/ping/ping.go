// Package ping asks a device by ICMP echo whether it is there.
//
// It uses a raw socket where the poller may open one, and the kernel's
// unprivileged ping socket otherwise. It is the only importer of the ping
// library; besides it may import collect, event and fault.
package ping

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	probing "github.com/prometheus-community/pro-bing"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
)

// minSize is the smallest payload in bytes: the library's time stamp and mark.
const minSize = 24

// gap is the time between two requests of a round.
const gap = 200 * time.Millisecond

// Collector is the ping collector. Its zero value is not ready; use New.
type Collector struct {
	// ping sends one round; a test replaces it to see packets get lost.
	ping func(ctx context.Context, r round) (outcome, error)
}

// New returns the collector.
func New() *Collector { return &Collector{ping: send} }

// round is what to send.
type round struct {
	to      net.IPAddr
	count   int
	size    int // bytes of payload
	timeout time.Duration
}

// outcome is what came back. problem is why nothing could be sent, when that
// is the network's answer ("no route to host"): that is a finding.
type outcome struct {
	sent, received     int
	average, deviation time.Duration
	problem            string
}

// Collect sends a round of echo requests. One answer is enough for "up".
func (c *Collector) Collect(ctx context.Context, t collect.Target, emit collect.Emit) error {
	p := collect.ReadParams(t, "count", "size")
	r := round{count: p.Int("count", 3, 1, 20), size: p.Int("size", minSize, minSize, 65000)}
	owns := p.Reachability(true)
	if err := p.Err(); err != nil {
		return err
	}
	deadline := time.Now().Add(t.Timeout)
	looking, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	ip, err := collect.Resolve(looking, t.Address)
	if err != nil {
		return err
	}
	r.to = net.IPAddr{IP: ip.AsSlice(), Zone: ip.Zone()}
	r.timeout = time.Until(deadline)
	out, err := c.ping(ctx, r)
	if err != nil {
		return err
	}
	if err := collect.Ended(ctx); err != nil {
		return err // cut short: says nothing about the device
	}
	return emit(ctx, out.events(t, r, owns)...)
}

// believed leaves out times that cannot be: a request carries its time stamp,
// and the device that sends it back may have changed it.
func (o outcome) believed(timeout time.Duration) outcome {
	for _, d := range []time.Duration{o.average, o.deviation} {
		if d < 0 || d > timeout {
			o.average, o.deviation = 0, 0
		}
	}
	return o
}

func (o outcome) events(t collect.Target, r round, owns bool) []event.Event {
	o = o.believed(r.timeout)
	state := event.Reachability{Device: t.Device, Address: t.Address, Method: "ping",
		Status: event.StatusUp, RTT: collect.Milliseconds(o.average), Loss: o.loss()}
	if o.received == 0 {
		state.Status = event.StatusDown
		state.Message = fmt.Sprintf("no answer to %d echo requests within %s", o.sent, r.timeout.Round(time.Millisecond))
		if o.problem != "" {
			state.Message = o.problem
		}
	}
	var out []event.Event
	if owns {
		out = append(out, collect.State(t.Device, event.TypeReachability, state))
	}
	return append(out, collect.Metric(t.Device, event.TypePing, event.Ping{
		RTT: state.RTT, Loss: state.Loss, Jitter: collect.Milliseconds(o.deviation)}))
}

// loss is in percent; a round that could not be sent is lost whole.
func (o outcome) loss() float64 {
	if o.sent == 0 {
		return 100
	}
	return float64(max(o.sent-o.received, 0)) / float64(o.sent) * 100
}

// send tries the raw socket first: it works through more firewalls and needs
// no setting of the kernel.
func send(ctx context.Context, r round) (outcome, error) {
	out, err := sendBy(ctx, r, true)
	if !errors.Is(err, os.ErrPermission) {
		return out, err
	}
	out, second := sendBy(ctx, r, false)
	if !errors.Is(second, os.ErrPermission) {
		return out, second
	}
	return outcome{}, fault.WithHint(
		fault.New(fault.Denied, "the poller may not send ICMP echo requests: neither a raw socket (%v) nor an unprivileged one (%v) is allowed", err, second),
		"give the binary the capability (setcap cap_net_raw+ep midplane; in systemd AmbientCapabilities=CAP_NET_RAW), "+
			"or let its group ping (sysctl net.ipv4.ping_group_range=\"0 2147483647\")")
}

func sendBy(ctx context.Context, r round, raw bool) (outcome, error) {
	p := probing.New("")
	p.SetIPAddr(&r.to)
	p.SetPrivileged(raw)
	log := &silent{}
	p.SetLogger(log)
	p.Count, p.Size = r.count, r.size
	p.Timeout = max(r.timeout, time.Millisecond)
	// All of the round is sent in the first half of the time.
	p.Interval = min(gap, p.Timeout/time.Duration(2*r.count)+1)
	var open atomic.Bool
	p.OnSetup = func() { open.Store(true) }
	var lastSend atomic.Value
	p.OnSendError = func(_ *probing.Packet, err error) { lastSend.Store(reason(err)) }

	err := p.RunWithContext(ctx)
	if err != nil && !open.Load() {
		return outcome{}, fault.Wrap(fault.Other, err, "open a socket for ICMP")
	}
	s := p.Statistics()
	out := outcome{sent: s.PacketsSent, received: s.PacketsRecv, average: s.AvgRtt, deviation: s.StdDevRtt}
	if log.broadcasts.Load() > maxBroadcasts {
		out.problem = "this machine's routes forbid sending to the address"
	} else if text, ok := lastSend.Load().(string); ok {
		out.problem = text
	} else if err != nil && ctx.Err() == nil {
		out.problem = reason(err)
	}
	return out, nil
}

// reason is the kernel's own word for what went wrong, without the addresses
// that change with every run.
func reason(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// silent is the library's logger. The library prints on standard error where
// we report; and when the kernel forbids sending with EACCES (a "prohibit"
// route), it takes the address for a broadcast one and tries again without
// end, and ignores its context: the only thing it calls in that loop is Infof, so
// there its goroutine is ended.
type silent struct{ broadcasts atomic.Int32 }

// maxBroadcasts is how often a round may have found its address to be a
// broadcast one: once for every request is right.
const maxBroadcasts = 20

func (*silent) Fatalf(string, ...any) {}
func (*silent) Errorf(string, ...any) {}
func (*silent) Warnf(string, ...any)  {}
func (*silent) Debugf(string, ...any) {}
func (s *silent) Infof(string, ...any) {
	if s.broadcasts.Add(1) > maxBroadcasts {
		runtime.Goexit()
	}
}
