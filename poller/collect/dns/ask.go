package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"

	"midplane/event"
	"midplane/poller/collect"
)

const (
	// tries is how often a question is sent over UDP within the timeout: one
	// lost datagram is no finding.
	tries = 3
	// maxStrays is how many datagrams are read that answer another question.
	maxStrays = 100
)

// What may be wrong with what comes back.
var (
	errMalformed = errors.New("the answer is malformed")
	errQuestion  = errors.New("what came back is a question and no answer")
	errOther     = errors.New("the answer is to another question")
	errStrays    = errors.New("only answers to other questions came back")
	errClosed    = errors.New("the connection was closed before the answer was complete")
)

// exchange is one run of the check: a question, and what is found out.
type exchange struct {
	order
	question *dns.Msg
	began    time.Time
	strays   int // datagrams that answered another question
	r        *collect.Result
}

// ask asks the server and judges what it answers.
func ask(ctx context.Context, o order, timeout time.Duration, r *collect.Result) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	x := exchange{order: o, question: new(dns.Msg).SetQuestion(o.name, o.qtype), began: time.Now(), r: r}
	x.question.AuthenticatedData = o.requireAD // "say whether it is"
	reply, err := x.over(ctx, o.network)
	truncated := ""
	if err == nil && reply.Truncated && o.network == overUDP {
		truncated = "the answer over UDP is truncated, and over TCP: "
		reply, err = x.over(ctx, overTCP)
	}
	if r.Answered {
		r.Timing.Total = x.since()
	}
	if err == nil {
		o.judge(reply, r)
		return
	}
	r.Unasked = collect.Unresolved(err) && !r.Answered
	r.Set(event.CheckCritical, truncated+collect.Reason(err, timeout))
}

func (x *exchange) since() float64 { return collect.Milliseconds(time.Since(x.began)) }

// over asks over one network.
func (x *exchange) over(ctx context.Context, network string) (reply *dns.Msg, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, x.server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// A connection knows nothing of contexts: closing it ends what waits.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := &dns.Conn{Conn: conn, UDPSize: dns.MaxMsgSize}
	if network == overTCP {
		reply, err = x.tcp(c)
	} else {
		reply, err = x.udp(ctx, c)
	}
	if ended := collect.Ended(ctx); err != nil && ended != nil && !errors.Is(err, errStrays) {
		err = ended // the closing was ours
	}
	return reply, err
}

// tcp sends the question once and reads one message.
func (x *exchange) tcp(c *dns.Conn) (*dns.Msg, error) {
	x.answered()
	x.r.Timing.Connect = x.since()
	if err := c.WriteMsg(x.question); err != nil {
		return nil, err
	}
	raw, err := c.ReadMsgHeader(nil)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errClosed
	case errors.Is(err, dns.ErrShortRead):
		return nil, errMalformed
	case err != nil:
		return nil, err
	}
	return x.read(raw)
}

// udp sends the question, again when nothing comes.
func (x *exchange) udp(ctx context.Context, c *dns.Conn) (*dns.Msg, error) {
	deadline, _ := ctx.Deadline() // ask has set one
	gap := time.Until(deadline) / tries
	for left := tries; left > 0; left-- {
		if err := c.WriteMsg(x.question); err != nil {
			return nil, err
		}
		until := deadline
		if left > 1 {
			until = time.Now().Add(gap)
		}
		if err := c.SetReadDeadline(until); err != nil {
			return nil, err
		}
		if reply, err := x.await(ctx, c); !errors.Is(err, os.ErrDeadlineExceeded) {
			return reply, err
		}
	}
	return nil, x.silence()
}

// await reads until the answer comes, or it is time to ask again. It passes over
// what does not answer the question: that may be late, or made up by a stranger.
func (x *exchange) await(ctx context.Context, c *dns.Conn) (*dns.Msg, error) {
	for {
		raw, err := c.ReadMsgHeader(nil)
		if err != nil && collect.Ended(ctx) != nil {
			return nil, x.silence()
		}
		if err != nil && !errors.Is(err, dns.ErrShortRead) {
			return nil, err
		}
		if err == nil {
			if reply, err := x.read(raw); !errors.Is(err, errOther) {
				x.answered()
				return reply, err
			}
		}
		if x.strays++; x.strays == maxStrays {
			return nil, errStrays
		}
	}
}

// silence is what is wrong when the time is over.
func (x *exchange) silence() error {
	if x.strays > 0 {
		return errStrays
	}
	return context.DeadlineExceeded
}

// answered notes that the server is there.
func (x *exchange) answered() {
	if !x.r.Answered {
		x.r.Answered, x.r.RTT = true, x.since()
	}
}

// read decodes an answer, and checks that it is one to the question.
func (x *exchange) read(raw []byte) (*dns.Msg, error) {
	reply := new(dns.Msg)
	err := reply.Unpack(raw) // the head is there even if the rest is not
	if reply.Id != x.question.Id {
		return nil, errOther
	}
	if err != nil {
		return nil, errMalformed
	}
	if !reply.Response {
		return nil, errQuestion
	}
	// A server that refuses may leave the question out.
	if len(reply.Question) == 0 && reply.Rcode != dns.RcodeSuccess {
		return reply, nil
	}
	asked := x.question.Question[0]
	if len(reply.Question) != 1 || reply.Question[0].Qtype != asked.Qtype || reply.Question[0].Qclass != asked.Qclass ||
		!strings.EqualFold(reply.Question[0].Name, asked.Name) {
		return nil, errOther
	}
	if x.r.Timing.FirstByte == 0 {
		x.r.Timing.FirstByte = x.since()
	}
	return reply, nil
}

// rcode is the name of an answer's code.
func rcode(code int) string {
	if name, ok := dns.RcodeToString[code]; ok {
		return name
	}
	return fmt.Sprintf("RCODE %d", code)
}
