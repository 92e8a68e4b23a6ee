package dns

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/miekg/dns"

	"midplane/event"
)

const right = "www.example.net. 60 IN A 192.0.2.1"

// head is the beginning of an answer to q: its id, the bits of an answer, one
// question and one record, both still to come.
func head(q *dns.Msg) []byte {
	return []byte{byte(q.Id >> 8), byte(q.Id), 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0}
}

// one answers with what make makes of the question, over UDP.
func one(make func(q *dns.Msg) []byte) hostile {
	return hostile{udp: func(q *dns.Msg) [][]byte { return [][]byte{make(q)} }}
}

func TestHostileOverUDP(t *testing.T) {
	wrongID := func(m *dns.Msg) { m.Id++ }
	for name, tt := range map[string]struct {
		server          hostile
		params          string
		status, message string
		up              string
	}{
		"right": {one(func(q *dns.Msg) []byte { return reply(t, q, nil, right) }), "", event.CheckOK,
			"NOERROR 192.0.2.1 (TTL 60 s)", event.StatusUp},
		"authenticated": {one(func(q *dns.Msg) []byte {
			return reply(t, q, func(m *dns.Msg) { m.AuthenticatedData = q.AuthenticatedData }, right)
		}), "requireAD=true", event.CheckOK, "NOERROR 192.0.2.1 (TTL 60 s, AD)", event.StatusUp},
		"SERVFAIL": {one(func(q *dns.Msg) []byte {
			return reply(t, q, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure })
		}), "", event.CheckCritical, "SERVFAIL", event.StatusUp},
		"a code that has no name": {one(func(q *dns.Msg) []byte {
			return reply(t, q, func(m *dns.Msg) { m.Rcode = 12 })
		}), "", event.CheckCritical, "RCODE 12", event.StatusUp},
		"refuses without the question": {one(func(q *dns.Msg) []byte {
			return reply(t, q, func(m *dns.Msg) { m.Rcode, m.Question = dns.RcodeFormatError, nil })
		}), "", event.CheckCritical, "FORMERR", event.StatusUp},
		"another id": {one(func(q *dns.Msg) []byte { return reply(t, q, wrongID, right) }), "", event.CheckCritical,
			"only answers to other questions came back", event.StatusDown},
		"another question": {one(func(q *dns.Msg) []byte {
			return reply(t, q, func(m *dns.Msg) { m.Question[0].Name = "www.example.com." }, right)
		}), "", event.CheckCritical, "only answers to other questions came back", event.StatusDown},
		"another id, then the right one": {hostile{udp: func(q *dns.Msg) [][]byte {
			return [][]byte{{1}, reply(t, q, wrongID, "www.example.net. 60 IN A 192.0.2.66"), reply(t, q, nil, right)}
		}}, "", event.CheckOK, "NOERROR 192.0.2.1 (TTL 60 s)", event.StatusUp},
		"too short": {one(func(*dns.Msg) []byte { return []byte("hello") }), "", event.CheckCritical,
			"only answers to other questions came back", event.StatusDown},
		"garbage": {one(func(q *dns.Msg) []byte { return append(head(q), bytes.Repeat([]byte{0xee}, 400)...) }), "", event.CheckCritical,
			"the answer is malformed", event.StatusUp},
		"a name that points to itself": {one(func(q *dns.Msg) []byte { return append(head(q), 0xc0, 12, 0, 1, 0, 1) }), "", event.CheckCritical,
			"the answer is malformed", event.StatusUp},
		"names that point to each other": {one(func(q *dns.Msg) []byte { return append(head(q), 0xc0, 14, 0xc0, 12, 0, 1, 0, 1) }), "", event.CheckCritical,
			"the answer is malformed", event.StatusUp},
		"an echo": {one(func(q *dns.Msg) []byte {
			return reply(t, q, func(m *dns.Msg) { m.Response = false })
		}), "", event.CheckCritical, "what came back is a question and no answer", event.StatusUp},
		"records of another name": {one(func(q *dns.Msg) []byte {
			return reply(t, q, nil, "www.example.com. 60 IN A 192.0.2.1", "www.example.net. 60 CH A 192.0.2.1")
		}), "", event.CheckCritical, "NOERROR, but no A record", event.StatusUp},
		"aliases in a ring": {one(func(q *dns.Msg) []byte {
			return reply(t, q, nil, "www.example.net. 60 IN CNAME a.example.net.", "a.example.net. 60 IN CNAME www.example.net.")
		}), "", event.CheckCritical, "NOERROR, but no A record", event.StatusUp},
		"control characters": {one(func(q *dns.Msg) []byte {
			return reply(t, q, nil, `www.example.net. 60 IN TXT "\027[31mred\010"`)
		}), "type=TXT", event.CheckOK, `NOERROR \027[31mred\010 (TTL 60 s)`, event.StatusUp},
		"truncated, and no TCP": {one(func(q *dns.Msg) []byte {
			return reply(t, q, func(m *dns.Msg) { m.Truncated = true })
		}), "", event.CheckCritical, "the answer over UDP is truncated, and over TCP: no answer within 600ms", event.StatusUp},
		"truncated over both": {hostile{
			udp: func(q *dns.Msg) [][]byte {
				return [][]byte{reply(t, q, func(m *dns.Msg) { m.Truncated = true })}
			},
			tcp: func(c net.Conn, q *dns.Msg) {
				c.Write(framed(reply(t, q, func(m *dns.Msg) { m.Truncated = true }, right)))
			},
		}, "", event.CheckCritical, "the answer is truncated, over TCP too", event.StatusUp},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tg := target(tt.server.listen(t), "name=www.example.net reachability=true "+tt.params)
			tg.Timeout = 600 * time.Millisecond
			c, up, timing := look(t, tg)
			if c.Status != tt.status || c.Message != tt.message {
				t.Errorf("%+v", c)
			}
			if up == nil || up.Status != tt.up || (timing != nil) != (tt.up == event.StatusUp) {
				t.Errorf("%+v %+v, want %s", up, timing, tt.up)
			}
		})
	}
}

func TestHostileOverTCP(t *testing.T) {
	endless := func(b byte) func(net.Conn, *dns.Msg) {
		return func(c net.Conn, _ *dns.Msg) {
			for {
				if _, err := c.Write(bytes.Repeat([]byte{b}, 4096)); err != nil {
					return
				}
			}
		}
	}
	for name, tt := range map[string]struct {
		serve   func(c net.Conn, q *dns.Msg)
		message string
	}{
		"endless zeros":    {endless(0), "the answer is malformed"},
		"endless garbage":  {endless(0xff), "the answer is to another question"},
		"closes at once":   {func(c net.Conn, _ *dns.Msg) { c.Close() }, "the connection was closed before the answer was complete"},
		"another question": {func(c net.Conn, q *dns.Msg) { c.Write(framed(reply(t, q, func(m *dns.Msg) { m.Id++ }, right))) }, "the answer is to another question"},
		"half an answer": {func(c net.Conn, q *dns.Msg) {
			raw := framed(reply(t, q, nil, right))
			c.Write(raw[:len(raw)-3])
			c.Close()
		}, "the connection was closed before the answer was complete"},
		"a byte now and then": {func(c net.Conn, q *dns.Msg) {
			for _, b := range append([]byte{0xff, 0xff}, make([]byte, 1<<16)...) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				<-time.After(20 * time.Millisecond)
			}
		}, "no answer within 600ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tg := target(hostile{tcp: tt.serve}.listen(t), "name=www.example.net protocol=tcp")
			tg.Timeout = 600 * time.Millisecond
			if c, _, _ := look(t, tg); c.Status != event.CheckCritical || c.Message != tt.message {
				t.Errorf("%+v", c)
			}
		})
	}
}

// As many answers as a message can hold: all are compared, few are shown.
func TestHugeAnswer(t *testing.T) {
	var records []string
	for i := range 3000 {
		records = append(records, fmt.Sprintf("www.example.net. %d IN A 10.0.%d.%d", 60+i, i/250, i%250))
	}
	port := hostile{tcp: func(c net.Conn, q *dns.Msg) {
		c.Write(framed(reply(t, q, func(m *dns.Msg) { m.Compress = true }, records...)))
	}}.listen(t)
	c, _, _ := look(t, target(port, "name=www.example.net protocol=tcp expect=10.0.0.0|10.0.0.1"))
	if c.Status != event.CheckCritical || utf8.RuneCountInString(c.Message) > 400 ||
		!strings.Contains(c.Message, " and 2990 more (TTL 60 s); expected 10.0.0.0, 10.0.0.1") {
		t.Errorf("%+v", c)
	}
}

// A flood of answers to other questions does not hold the check for its timeout.
func TestFloodOfStrays(t *testing.T) {
	port := hostile{udp: func(q *dns.Msg) (out [][]byte) {
		for range 3 * maxStrays {
			out = append(out, reply(t, q, func(m *dns.Msg) { m.Id++ }, right))
		}
		return out
	}}.listen(t)
	tg := target(port, "name=www.example.net")
	tg.Timeout = time.Minute
	began := time.Now()
	if c, _, _ := look(t, tg); c.Message != errStrays.Error() || time.Since(began) > 15*time.Second {
		t.Errorf("%+v after %s", c, time.Since(began))
	}
}

// One lost datagram is no finding: the question is sent again.
func TestLostDatagram(t *testing.T) {
	var asked atomic.Int32
	port := hostile{udp: func(q *dns.Msg) [][]byte {
		if asked.Add(1) == 1 {
			return nil
		}
		return [][]byte{reply(t, q, nil, right)}
	}}.listen(t)
	tg := target(port, "name=www.example.net")
	tg.Timeout = 3 * time.Second
	c, _, timing := look(t, tg)
	if c.Status != event.CheckOK || asked.Load() != 2 || timing == nil || timing.Total < 900 {
		t.Errorf("%+v %+v, asked %d times", c, timing, asked.Load())
	}
}
