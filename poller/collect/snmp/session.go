package snmp

import (
	"context"
	"net"
	"strconv"
	"sync"

	"github.com/gosnmp/gosnmp"

	"midplane/fault"
)

// session is one conversation with an agent.
type session struct {
	g    *gosnmp.GoSNMP
	stop func() bool
	pool *sync.Pool
}

// socket is a connection of which the library sees no more than it needs: from
// others it reads every sender's address.
type socket struct{ net.Conn }

// open makes the socket; nothing is sent yet. The library sees the end of ctx
// only between packets, so the socket is closed under it then.
//
// Each client of the library has a buffer of 64 KiB, and makes it when it connects.
// Those of SNMPv2c, which learn nothing of an agent, are used again.
func (c Collector) open(ctx context.Context, g *gosnmp.GoSNMP) (*session, error) {
	s := &session{g: g}
	if g.Version == gosnmp.Version2c {
		s.pool = c.clients
	}
	if err := s.connect(); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "open a socket for SNMP")
	}
	conn := s.g.Conn
	s.stop = context.AfterFunc(ctx, func() { conn.Close() })
	return s, nil
}

func (s *session) connect() error {
	used := s.used()
	if used == nil {
		if err := s.g.Connect(); err != nil {
			return err
		}
		s.g.Conn = socket{s.g.Conn}
		return nil
	}
	conn, err := net.Dial("udp", net.JoinHostPort(s.g.Target, strconv.Itoa(int(s.g.Port))))
	if err != nil {
		s.pool.Put(used)
		return err
	}
	used.Target, used.Port, used.Community, used.Context = s.g.Target, s.g.Port, s.g.Community, s.g.Context
	used.Timeout, used.MaxRepetitions, used.Conn = s.g.Timeout, s.g.MaxRepetitions, socket{conn}
	s.g = used
	return nil
}

// used is a client that another session has left.
func (s *session) used() *gosnmp.GoSNMP {
	if s.pool == nil {
		return nil
	}
	g, _ := s.pool.Get().(*gosnmp.GoSNMP)
	return g
}

func (s *session) close() {
	s.stop()
	_ = s.g.Close() // may be closed already, and nothing is buffered
	if s.pool != nil {
		s.g.Community, s.g.Context = "", nil
		s.pool.Put(s.g)
	}
}

// ask does one request; an error after the end of the context is that end.
func (s *session) ask(do func() (*gosnmp.SnmpPacket, error)) (*gosnmp.SnmpPacket, error) {
	resp, err := do()
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
	resp, err := s.ask(func() (*gosnmp.SnmpPacket, error) { return s.g.Get(oids) })
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
