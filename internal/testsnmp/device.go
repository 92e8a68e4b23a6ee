package testsnmp

import (
	"fmt"
	"slices"
	"time"

	"github.com/gosnmp/gosnmp"

	"midplane/fault"
)

// The statuses of IF-MIB's ifOperStatus that tests set.
const (
	Up   = 1
	Down = 2
)

const (
	ifEntry  = "1.3.6.1.2.1.2.2.1"
	ifXEntry = "1.3.6.1.2.1.31.1.1.1"
	ifStatus = 8 // the column ifOperStatus of ifEntry
	speed    = 1_000_000_000
)

// cell is what a column of a generated device holds, for one interface.
type cell func(d *generated, index int, at time.Time) gosnmp.SnmpPDU

// variable is one entry of a generated device's layout.
type variable struct {
	index int // of the interface, 0 for a scalar
	cell  cell
}

// generated is one device. What it counts is a pure function of time.
type generated struct {
	booted time.Time
	rate   uint64 // bytes a second on interface 1; interface n carries n times that
}

// count is how many of something that happens perSecond has happened since boot.
func (d *generated) count(at time.Time, perSecond uint64) uint64 {
	return uint64(max(at.Sub(d.booted), 0)/time.Millisecond) * perSecond / 1000
}

func constant(tag gosnmp.Asn1BER, value any) cell {
	return func(*generated, int, time.Time) gosnmp.SnmpPDU { return gosnmp.SnmpPDU{Type: tag, Value: value} }
}

func integer(n int) cell { return constant(gosnmp.Integer, n) }

func named(format string) cell {
	return func(_ *generated, index int, _ time.Time) gosnmp.SnmpPDU {
		return gosnmp.SnmpPDU{Type: gosnmp.OctetString, Value: fmt.Sprintf(format, index)}
	}
}

// counter rises by 1/share of the interface's bytes; 32 bits wrap.
func counter(tag gosnmp.Asn1BER, share uint64) cell {
	return func(d *generated, index int, at time.Time) gosnmp.SnmpPDU {
		n := d.count(at, d.rate*uint64(index)) / share
		if tag == gosnmp.Counter32 {
			return gosnmp.SnmpPDU{Type: tag, Value: uint32(n)}
		}
		return gosnmp.SnmpPDU{Type: tag, Value: n}
	}
}

var scalars = map[string]cell{
	"1.3.6.1.2.1.1.1.0": constant(gosnmp.OctetString, "Simulated switch, firmware 1.0"),
	"1.3.6.1.2.1.1.2.0": constant(gosnmp.ObjectIdentifier, ".1.3.6.1.4.1.99999.1"),
	"1.3.6.1.2.1.1.3.0": func(d *generated, _ int, at time.Time) gosnmp.SnmpPDU {
		return gosnmp.SnmpPDU{Type: gosnmp.TimeTicks, Value: uint32(d.count(at, 100))}
	},
	"1.3.6.1.2.1.1.4.0": constant(gosnmp.OctetString, "noc"),
	"1.3.6.1.2.1.1.5.0": constant(gosnmp.OctetString, "simulated"),
	"1.3.6.1.2.1.1.6.0": constant(gosnmp.OctetString, "rack 1"),
}

// columns are those of both interface tables, by number.
var columns = map[string]map[int]cell{
	ifEntry: {
		1: func(_ *generated, index int, _ time.Time) gosnmp.SnmpPDU {
			return gosnmp.SnmpPDU{Type: gosnmp.Integer, Value: index}
		},
		2: named("GigabitEthernet0/%d"), 3: integer(6), 4: integer(1500),
		5: constant(gosnmp.Gauge32, uint32(speed)),
		6: func(_ *generated, index int, _ time.Time) gosnmp.SnmpPDU {
			return gosnmp.SnmpPDU{Type: gosnmp.OctetString, Value: []byte{2, 0, 0, 0, byte(index >> 8), byte(index)}}
		},
		7: integer(Up), ifStatus: integer(Up),
		10: counter(gosnmp.Counter32, 1), 11: counter(gosnmp.Counter32, 800), 12: counter(gosnmp.Counter32, 8000),
		13: constant(gosnmp.Counter32, uint32(0)), 14: constant(gosnmp.Counter32, uint32(0)),
		16: counter(gosnmp.Counter32, 2), 17: counter(gosnmp.Counter32, 1600), 18: counter(gosnmp.Counter32, 16000),
		19: constant(gosnmp.Counter32, uint32(0)), 20: constant(gosnmp.Counter32, uint32(0)),
	},
	ifXEntry: {
		1: named("ge0/%d"),
		6: counter(gosnmp.Counter64, 1), 7: counter(gosnmp.Counter64, 800), 8: counter(gosnmp.Counter64, 8000), 9: counter(gosnmp.Counter64, 8000),
		10: counter(gosnmp.Counter64, 2), 11: counter(gosnmp.Counter64, 1600), 12: counter(gosnmp.Counter64, 16000), 13: counter(gosnmp.Counter64, 16000),
		15: constant(gosnmp.Gauge32, uint32(speed/1_000_000)), 18: named("port %d"),
	},
}

// Device makes one device with that many interfaces, numbered from 1: a system
// group, ifTable and ifXTable.
func Device(interfaces int) *MIB { return Devices(1, interfaces)[0] }

// Devices makes devices that are alike but count at different rates. They
// share what they have in common, so that thousands take little memory.
func Devices(count, interfaces int) []*MIB {
	l, list := arrange(interfaces)
	out := make([]*MIB, count)
	booted := time.Now().Add(-40 * 24 * time.Hour)
	for n := range out {
		d := &generated{booted: booted.Add(-time.Duration(n) * time.Minute), rate: 1000 + uint64(n%1000)}
		out[n] = &MIB{layout: l, value: func(i int, at time.Time) gosnmp.SnmpPDU {
			return list[i].cell(d, list[i].index, at)
		}}
	}
	return out
}

// arrange lists every variable of a device, in order.
func arrange(interfaces int) (*layout, []variable) {
	type entry struct {
		key  oid
		name string
		variable
	}
	var entries []entry
	add := func(name string, v variable) {
		key, err := parseOID(name)
		if err != nil {
			panic(err) // the names are constants
		}
		entries = append(entries, entry{key, "." + name, v})
	}
	for name, c := range scalars {
		add(name, variable{cell: c})
	}
	for table, cells := range columns {
		for column, c := range cells {
			for index := 1; index <= interfaces; index++ {
				add(fmt.Sprintf("%s.%d.%d", table, column, index), variable{index, c})
			}
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.key.compare(b.key) })
	l, list := &layout{}, make([]variable, 0, len(entries))
	for _, e := range entries {
		l.keys, l.names, list = append(l.keys, e.key), append(l.names, e.name), append(list, e.variable)
	}
	return l, list
}

// SetOperStatus sets ifOperStatus of one interface. A device that has no such
// interface is NotFound.
func (m *MIB) SetOperStatus(index, status int) error {
	key, err := parseOID(fmt.Sprintf("%s.%d.%d", ifEntry, ifStatus, index))
	if err != nil {
		return err
	}
	i, exact := m.layout.find(key)
	if !exact {
		return fault.New(fault.NotFound, "the device has no interface %d", index)
	}
	m.set(i, gosnmp.SnmpPDU{Type: gosnmp.Integer, Value: status})
	return nil
}
