// Package tcp checks that a TCP port accepts connections and, when asked to,
// that the right words come out of it. It may import collect and event.
package tcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"midplane/event"
	"midplane/poller/collect"
)

// maxAnswer is how many bytes are searched for what is expected.
const maxAnswer = 64 << 10

// Collector is the tcp collector.
type Collector struct{}

// New returns the collector.
func New() Collector { return Collector{} }

// Collect connects once, and closes the connection.
func (Collector) Collect(ctx context.Context, t collect.Target, emit collect.Emit) error {
	p := collect.ReadParams(t, "port", "send", "expect")
	port := p.Port("port", 0)
	say, expect := p.String("send", ""), p.String("expect", "")
	owns := p.Reachability(false)
	if t.Address == "" {
		p.Fail("port", "has no address to go with: the device has none")
	}
	if err := p.Err(); err != nil {
		return err
	}
	addr := net.JoinHostPort(t.Address, strconv.Itoa(port))
	r := collect.NewResult(t, addr, owns)
	talk(ctx, addr, say, expect, t.Timeout, r)
	if err := collect.Ended(ctx); err != nil {
		return err
	}
	return emit(ctx, r.Events(t)...)
}

// talk connects, sends what is to be sent and waits for what is expected.
func talk(ctx context.Context, addr, say, expect string, timeout time.Duration, r *collect.Result) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	since := func() float64 { return collect.Milliseconds(time.Since(began)) }
	fail := func(err error) { r.Set(event.CheckCritical, collect.Reason(err, timeout)) }

	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		r.Unasked = collect.Unresolved(err)
		fail(err)
		return
	}
	defer conn.Close()
	// A connection knows nothing of contexts: closing it ends what waits.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	r.Answered = true
	r.Timing.Connect = since()
	r.RTT = r.Timing.Connect
	defer func() { r.Timing.Total = since() }()
	if say != "" {
		if _, err := io.WriteString(conn, say); err != nil {
			fail(closedBy(ctx, err))
			return
		}
	}
	if expect == "" {
		return
	}
	first, err := find(conn, []byte(expect), since)
	r.Timing.FirstByte = first
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		r.Set(event.CheckCritical, "the expected answer did not come before the connection was closed")
	case errors.Is(err, errTooLong):
		r.Set(event.CheckCritical, "the expected answer is not in the first 64 KiB")
	case ctx.Err() != nil:
		r.Set(event.CheckCritical, "the expected answer did not come within "+timeout.String())
	default:
		fail(err)
	}
}

// closedBy is ctx's error when our own closing caused err.
func closedBy(ctx context.Context, err error) error {
	if err := collect.Ended(ctx); err != nil {
		return err
	}
	return err
}

var errTooLong = errors.New("answer too long")

// find reads until want has come. It returns when the first byte came, in
// milliseconds, 0 when none did.
func find(conn io.Reader, want []byte, since func() float64) (first float64, err error) {
	var got []byte
	buf := make([]byte, 4096)
	for len(got) < maxAnswer {
		n, err := conn.Read(buf)
		if n > 0 && first == 0 {
			first = since()
		}
		got = append(got, buf[:n]...)
		if bytes.Contains(got, want) {
			return first, nil
		}
		if err != nil {
			return first, err
		}
	}
	return first, errTooLong
}
