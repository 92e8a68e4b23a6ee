// Package testsnmp simulates SNMP devices: many SNMPv2c agents in one process,
// one UDP socket each on loopback. A device is made from lines of a snmprec
// file (Record) or generated with any number of interfaces whose counters rise
// with time (Device); Serve puts it on a socket.
//
// It is for tests and for the bench door; nothing in the product imports it.
// It may import fault, and it shares the SNMP library's encoding with the
// collector.
package testsnmp

import (
	"slices"
	"sync"
	"time"

	"github.com/gosnmp/gosnmp"
)

// MIB is what one agent answers with. It is safe for concurrent use.
type MIB struct {
	layout *layout
	value  func(i int, at time.Time) gosnmp.SnmpPDU // of the layout's variable i, its name left out

	mu   sync.RWMutex
	over map[int]gosnmp.SnmpPDU // values that were set, by variable
}

// layout is the ordered list of variables. Devices that are alike share one.
type layout struct {
	keys  []oid
	names []string // dotted, with a dot in front
}

// find returns the position of key, or that of the first variable after it.
func (l *layout) find(key oid) (int, bool) {
	return slices.BinarySearchFunc(l.keys, key, oid.compare)
}

// after returns the position of the first variable behind key.
func (l *layout) after(key oid) int {
	i, exact := l.find(key)
	if exact {
		i++
	}
	return i
}

// at returns variable i as it is now.
func (m *MIB) at(i int, now time.Time) gosnmp.SnmpPDU {
	m.mu.RLock()
	v, set := m.over[i]
	m.mu.RUnlock()
	if !set {
		v = m.value(i, now)
	}
	v.Name = m.layout.names[i]
	return v
}

// set replaces the value of variable i from now on.
func (m *MIB) set(i int, v gosnmp.SnmpPDU) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over == nil {
		m.over = map[int]gosnmp.SnmpPDU{}
	}
	m.over[i] = v
}

// get answers GET for one name: the value, noSuchInstance where the object has
// other instances, and noSuchObject where it has none.
func (m *MIB) get(name string, now time.Time) gosnmp.SnmpPDU {
	missing := gosnmp.SnmpPDU{Name: name, Type: gosnmp.NoSuchObject}
	key, err := parseOID(name)
	if err != nil {
		return missing
	}
	i, exact := m.layout.find(key)
	if exact {
		return m.at(i, now)
	}
	for _, near := range []int{i - 1, i} {
		if near >= 0 && near < len(m.layout.keys) && m.layout.keys[near].startsWith(key.parent()) {
			missing.Type = gosnmp.NoSuchInstance
		}
	}
	return missing
}

// next answers GETNEXT for one name: the variable behind it, or endOfMibView
// under the name that was asked for.
func (m *MIB) next(name string, now time.Time) gosnmp.SnmpPDU {
	key, err := parseOID(name)
	if err == nil {
		if i := m.layout.after(key); i < len(m.layout.keys) {
			return m.at(i, now)
		}
	}
	return gosnmp.SnmpPDU{Name: name, Type: gosnmp.EndOfMibView}
}

// maxVariables is how many variables one answer holds: they fit into a datagram.
const maxVariables = 400

// bulk answers GETBULK: one successor for each of the first names, up to
// repetitions for each of the rest, row by row.
func (m *MIB) bulk(names []string, once, repetitions int, now time.Time) []gosnmp.SnmpPDU {
	once = min(max(once, 0), len(names))
	var out []gosnmp.SnmpPDU
	for _, name := range names[:once] {
		out = append(out, m.next(name, now))
	}
	row := slices.Clone(names[once:])
	for n := 0; n < repetitions && len(row) > 0; n++ {
		ended := 0
		for i, name := range row {
			if len(out) == maxVariables {
				return out
			}
			v := m.next(name, now)
			if v.Type == gosnmp.EndOfMibView {
				ended++
			}
			out = append(out, v)
			row[i] = v.Name
		}
		if ended == len(row) {
			return out
		}
	}
	return out
}
