package snmp

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/gosnmp/gosnmp"

	"midplane/fault"
)

// session is one conversation with an agent.
//
// What SNMPv3 needs, and what a request looks like, is the library's. With SNMPv2c
// the session sends and receives by itself, since there the library's work for a
// request, of which most is text for a log that is off, costs more than the rest.
type session struct {
	g    *gosnmp.GoSNMP
	conn net.Conn
	stop func() bool

	// With SNMPv2c:
	buffer  *[]byte // what is received
	request uint32  // the id of the last request
}

// open makes the socket; nothing is sent yet. A wait ends with ctx only when the
// socket is closed under it.
func (c Collector) open(ctx context.Context, g *gosnmp.GoSNMP) (s *session, err error) {
	s = &session{g: g, request: rand.Uint32()}
	if g.Version == gosnmp.Version2c {
		s.conn, err = net.Dial("udp", net.JoinHostPort(g.Target, strconv.Itoa(int(g.Port))))
	} else {
		err = g.Connect()
		s.conn = g.Conn
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "open a socket for SNMP")
	}
	if g.Version == gosnmp.Version2c {
		s.buffer = c.buffers.Get().(*[]byte)
	}
	s.stop = context.AfterFunc(ctx, func() { s.conn.Close() })
	return s, nil
}

func (s *session) close(c Collector) {
	s.stop()
	_ = s.conn.Close() // may be closed already, and nothing is buffered
	if s.buffer != nil {
		c.buffers.Put(s.buffer)
	}
}

// do sends a request and returns the answer to it.
func (s *session) do(pdu gosnmp.PDUType, repetitions uint32, names ...string) (*gosnmp.SnmpPacket, error) {
	switch {
	case s.g.Version == gosnmp.Version2c:
		return s.exchange(pdu, repetitions, names)
	case pdu == gosnmp.GetBulkRequest:
		return s.g.GetBulk(names, 0, repetitions)
	}
	return s.g.Get(names)
}

// exchange is do with SNMPv2c. It tries as often as the library would, and answers
// to an earlier try count.
func (s *session) exchange(pdu gosnmp.PDUType, repetitions uint32, names []string) (*gosnmp.SnmpPacket, error) {
	variables := make([]gosnmp.SnmpPDU, len(names))
	for i, name := range names {
		variables[i] = gosnmp.SnmpPDU{Name: name, Type: gosnmp.Null}
	}
	request := s.g.MkSnmpPacket(pdu, variables, 0, repetitions)
	first := s.request + 1
	var err error
	for range s.g.Retries + 1 {
		if err := s.g.Context.Err(); err != nil {
			return nil, err
		}
		s.request++
		request.RequestID = s.request & math.MaxInt32
		var data []byte
		if data, err = request.MarshalMsg(); err != nil {
			return nil, err
		}
		// The end of the context closes the socket.
		if err = s.conn.SetDeadline(time.Now().Add(s.g.Timeout)); err != nil {
			return nil, err
		}
		if _, err = s.conn.Write(data); err != nil {
			continue
		}
		var answer *gosnmp.SnmpPacket
		if answer, err = s.answer(first); err == nil {
			return answer, nil
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = gosnmp.ErrMaxRetriesExceeded
	}
	return nil, err
}

// answer waits for the answer to one of the requests since first.
func (s *session) answer(first uint32) (*gosnmp.SnmpPacket, error) {
	for {
		n, err := s.conn.Read(*s.buffer)
		if err != nil {
			return nil, err
		}
		p, ok := readAnswer((*s.buffer)[:n])
		if !ok {
			if p, err = s.g.SnmpDecodePacket(append([]byte(nil), (*s.buffer)[:n]...)); err != nil {
				return nil, err
			}
		}
		// Some agents answer without an id.
		if (p.RequestID-first)&math.MaxInt32 <= s.request-first || p.RequestID == 0 {
			return p, nil
		}
	}
}

// ask does one request; an error after the end of the context is that end.
func (s *session) ask(pdu gosnmp.PDUType, repetitions int, names ...string) (*gosnmp.SnmpPacket, error) {
	resp, err := s.do(pdu, uint32(repetitions), names...)
	if err != nil && s.g.Context.Err() != nil {
		return nil, s.g.Context.Err()
	}
	if err == nil && resp.PDUType != gosnmp.GetResponse {
		return nil, fault.New(fault.Other, "what answers is no SNMP agent: it sends a %s", resp.PDUType)
	}
	return resp, err
}

// agentError is an error status in an answer.
type agentError gosnmp.SNMPError

func (e agentError) Error() string { return "the agent answers " + gosnmp.SNMPError(e).String() }

// get reads scalars; what the agent does not have is missing in the result.
func (s *session) get(oids ...string) (map[string]gosnmp.SnmpPDU, error) {
	resp, err := s.ask(gosnmp.GetRequest, 0, oids...)
	if err != nil {
		return nil, err
	}
	if resp.Error != gosnmp.NoError {
		return nil, agentError(resp.Error)
	}
	out := make(map[string]gosnmp.SnmpPDU, len(oids))
	for _, v := range resp.Variables {
		if there(v) {
			out[v.Name] = v
		}
	}
	return out, nil
}

func there(v gosnmp.SnmpPDU) bool {
	switch v.Type {
	case gosnmp.NoSuchObject, gosnmp.NoSuchInstance, gosnmp.EndOfMibView, gosnmp.Null:
		return false
	}
	return true
}
