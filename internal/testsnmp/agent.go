package testsnmp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"midplane/fault"
)

// maxRequest is the largest request in bytes that an agent reads. It is small,
// since every agent has a buffer of its own.
const maxRequest = 4096

// Kind is what a request asks for.
type Kind string

// The kinds of requests that agents answer.
const (
	Get     Kind = "get"
	GetNext Kind = "getnext"
	GetBulk Kind = "getbulk"
)

// Agent answers for one device on one socket, to every community.
type Agent struct {
	mib    *MIB
	conn   *net.UDPConn
	silent atomic.Bool
	asked  func(Kind)
	done   sync.WaitGroup
}

// Serve answers for m on addr, a UDP address on loopback; port 0 takes any.
// asked, when not nil, is called with every request before it is answered, a
// silent agent's too, by one goroutine for each agent.
func Serve(addr string, m *MIB, asked func(Kind)) (*Agent, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !at.Addr().IsLoopback() {
		return nil, fault.New(fault.Invalid, "%q is no address and port on loopback", addr)
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "simulated SNMP agent")
	}
	a := &Agent{mib: m, conn: conn, asked: asked}
	a.done.Go(a.serve)
	return a, nil
}

// Start is Serve on any port of 127.0.0.1, until the test ends.
func Start(t testing.TB, m *MIB) *Agent {
	t.Helper()
	a, err := Serve("127.0.0.1:0", m, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// Addr returns the address that the agent answers on.
func (a *Agent) Addr() netip.AddrPort { return a.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// MIB returns what the agent answers with.
func (a *Agent) MIB() *MIB { return a.mib }

// Silence stops all answers; the socket stays open. Speak ends it.
func (a *Agent) Silence() { a.silent.Store(true) }

// Speak lets the agent answer again.
func (a *Agent) Speak() { a.silent.Store(false) }

// Close closes the socket and returns when nothing is left running.
func (a *Agent) Close() {
	_ = a.conn.Close() // a second time changes nothing
	a.done.Wait()
}

func (a *Agent) serve() {
	codec := &gosnmp.GoSNMP{Version: gosnmp.Version2c}
	buf := make([]byte, maxRequest)
	for {
		n, from, err := a.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the asker's socket is closed: the kernel reports that here
		}
		if reply := a.reply(codec, buf[:n]); reply != nil && !a.silent.Load() {
			_, _ = a.conn.WriteToUDPAddrPort(reply, from) // an answer may be lost
		}
	}
}

// reply is the answer to a datagram, nil for what is no request of SNMPv2c.
func (a *Agent) reply(codec *gosnmp.GoSNMP, data []byte) []byte {
	req, err := codec.SnmpDecodePacket(data)
	if err != nil || req.Version != gosnmp.Version2c {
		return nil
	}
	names := make([]string, len(req.Variables))
	for i, v := range req.Variables {
		names[i] = v.Name
	}
	now := time.Now()
	var kind Kind
	var answer []gosnmp.SnmpPDU
	switch req.PDUType {
	case gosnmp.GetRequest:
		kind = Get
		for _, name := range names {
			answer = append(answer, a.mib.get(name, now))
		}
	case gosnmp.GetNextRequest:
		kind = GetNext
		for _, name := range names {
			answer = append(answer, a.mib.next(name, now))
		}
	case gosnmp.GetBulkRequest:
		kind = GetBulk
		answer = a.mib.bulk(names, int(req.NonRepeaters), int(req.MaxRepetitions), now)
	default:
		return nil
	}
	if a.asked != nil {
		a.asked(kind)
	}
	out := gosnmp.SnmpPacket{Version: gosnmp.Version2c, Community: req.Community,
		PDUType: gosnmp.GetResponse, RequestID: req.RequestID, Variables: answer}
	reply, err := out.MarshalMsg()
	if err != nil {
		return nil // a value that the library cannot encode; the asker's timeout shows it
	}
	return reply
}
