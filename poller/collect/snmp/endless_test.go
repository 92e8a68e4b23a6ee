package snmp

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"
	"go.uber.org/goleak"

	"midplane/api"
	"midplane/event"
	"midplane/poller/collect"
)

// tables serves a system group and, below it, what rows answers to a GETBULK
// that begins behind the name at.
func tables(t *testing.T, delay time.Duration, rows func(at string, repetitions int) []gosnmp.SnmpPDU) collect.Target {
	t.Helper()
	t.Setenv("T_COMMUNITY", "any-community")
	server := udp(t)
	go func() {
		codec := &gosnmp.GoSNMP{Version: gosnmp.Version2c}
		buf := make([]byte, 65536)
		for {
			n, from, err := server.ReadFromUDP(buf)
			if err != nil {
				return
			}
			req, err := codec.SnmpDecodePacket(buf[:n])
			if err != nil {
				t.Error(err)
				return
			}
			vars := []gosnmp.SnmpPDU{{Name: sysName, Type: gosnmp.OctetString, Value: "endless"}}
			if req.PDUType == gosnmp.GetBulkRequest {
				time.Sleep(delay) // the agent is slow; nothing waits for this to have happened
				vars = rows(req.Variables[0].Name, int(req.MaxRepetitions))
			}
			out := gosnmp.SnmpPacket{Version: gosnmp.Version2c, Community: req.Community, PDUType: gosnmp.GetResponse,
				RequestID: req.RequestID, Variables: vars}
			data, err := out.MarshalMsg()
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := server.WriteToUDP(data, from); err != nil {
				return
			}
		}
	}()
	return collect.Target{Device: "r1", Address: "127.0.0.1", Check: "snmp", Collector: "snmp", Timeout: time.Second,
		SNMP: &api.SNMP{Version: "2c", Port: server.LocalAddr().(*net.UDPAddr).Port, Community: "env:T_COMMUNITY"}}
}

// rising returns names in column 1 of whichever table is asked for, each larger
// than the one before.
func rising(value gosnmp.SnmpPDU) func(string, int) []gosnmp.SnmpPDU {
	next := 0
	return func(at string, repetitions int) (out []gosnmp.SnmpPDU) {
		for range repetitions {
			next++
			v := value
			v.Name = fmt.Sprintf("%s.1.%d", entryOf(at), next)
			out = append(out, v)
		}
		return out
	}
}

// entryOf is the table that a name is in.
func entryOf(at string) string {
	for _, entry := range []string{ifEntry, ifXEntry, entPhysicalEntry} {
		if at == entry || len(at) > len(entry) && at[:len(entry)+1] == entry+"." {
			return entry
		}
	}
	return ".1.3"
}

// A table that has no end is left out, and the check ends about when it has to.
func TestTablesWithoutEnd(t *testing.T) {
	const bound = 2 * time.Second // the machine may be busy
	one := func(f func(string, int) []gosnmp.SnmpPDU) func(string, int) []gosnmp.SnmpPDU {
		return func(at string, _ int) []gosnmp.SnmpPDU { return f(at, 1) }
	}
	null := gosnmp.SnmpPDU{Type: gosnmp.Null}
	number := gosnmp.SnmpPDU{Type: gosnmp.Integer, Value: 1}
	for name, tt := range map[string]struct {
		delay time.Duration
		rows  func(string, int) []gosnmp.SnmpPDU
	}{
		"the same NULL for ever": {0, func(at string, _ int) []gosnmp.SnmpPDU {
			return []gosnmp.SnmpPDU{{Name: entryOf(at) + ".1.1", Type: gosnmp.Null}}
		}},
		"NULL under the name that was asked for": {0, func(at string, _ int) []gosnmp.SnmpPDU {
			return []gosnmp.SnmpPDU{{Name: at + ".1", Type: gosnmp.Null}, {Name: at + ".1", Type: gosnmp.Null}}
		}},
		"rows of NULL for ever":        {0, rising(null)},
		"one NULL at a time":           {0, one(rising(null))},
		"a table that never ends":      {0, rising(number)},
		"long strings that never end":  {0, one(rising(gosnmp.SnmpPDU{Type: gosnmp.OctetString, Value: bytes.Repeat([]byte("x"), 60_000)}))},
		"one variable at a time, slow": {100 * time.Millisecond, one(rising(number))},
		"slower than a request may be": {700 * time.Millisecond, rising(number)},
		"missing instances for ever":   {0, rising(gosnmp.SnmpPDU{Type: gosnmp.NoSuchInstance})},
		"numbers of a type not known":  {0, rising(gosnmp.SnmpPDU{Type: gosnmp.Opaque, Value: []byte{1}})},
		"a backward step after a while": {0, func() func(string, int) []gosnmp.SnmpPDU {
			up := rising(number)
			return func(at string, n int) []gosnmp.SnmpPDU {
				return append(up(at, n), gosnmp.SnmpPDU{Name: entryOf(at) + ".1.1", Type: gosnmp.Integer, Value: 1})
			}
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			target := tables(t, tt.delay, tt.rows)
			leaks := goleak.IgnoreCurrent()
			began := time.Now()
			got := within(t, target.Timeout+bound, target)
			if got.check.Status != event.CheckWarning || got.inventory != nil || len(got.interfaces) > 0 {
				t.Errorf("%+v, %d interfaces", got.check, len(got.interfaces))
			}
			goleak.VerifyNone(t, leaks)
			t.Logf("ended after %s: %s", time.Since(began).Round(time.Millisecond), got.check.Message)
		})
	}
}
