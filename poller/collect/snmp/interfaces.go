package snmp

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"midplane/event"
	"midplane/poller/collect"
)

// IF-MIB: ifTable has been there since 1988 and counts in 32 bits, ifXTable
// has names, aliases and 64 bits.
const (
	ifEntry  = ".1.3.6.1.2.1.2.2.1"
	ifXEntry = ".1.3.6.1.2.1.31.1.1.1"
)

var (
	// ifTable without ifDescr, which is a name only where there is no ifName.
	ifTable  = table{entry: ifEntry, columns: []int{4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20}}
	ifDescr  = table{entry: ifEntry, columns: []int{1, 2}, text: []int{2}}
	ifXTable = table{entry: ifXEntry, columns: []int{1, 6, 7, 8, 9, 10, 11, 12, 13, 15, 18}, text: []int{1, 18}}

	adminStatus = map[uint64]string{1: "up", 2: "down", 3: "testing"}
	operStatus  = map[uint64]string{1: "up", 2: "down", 3: "testing", 4: "unknown", 5: "dormant", 6: "notPresent", 7: "lowerLayerDown"}
)

// iface is one interface: its rows of both tables, the second may be nil.
type iface struct {
	index string
	old   row
	x     row
}

// interfaces reads both tables, ordered by index.
func (s *session) interfaces() ([]iface, error) {
	old, err := s.table(&ifTable, 0)
	if err != nil {
		return nil, err
	}
	x, err := s.table(&ifXTable, len(old))
	if err != nil {
		return nil, err
	}
	if len(old) == 0 || !named(old, x) {
		names, err := s.table(&ifDescr, len(old))
		if err != nil {
			return nil, err
		}
		for index, r := range names {
			old[index] = append(r[:3:3], old[index][min(3, len(old[index])):]...)
		}
	}
	var out []iface
	for _, index := range slices.SortedFunc(maps.Keys(old), compare) {
		if _, err := strconv.ParseUint(index, 10, 32); err == nil {
			out = append(out, iface{index: index, old: old[index], x: x[index]})
		}
	}
	return out, nil
}

// named reports whether each interface has an ifName.
func named(old, x map[string]row) bool {
	for index := range old {
		if text(x[index].at(1)) == "" {
			return false
		}
	}
	return true
}

// events are the interface's state and, where the agent counts, its counters.
func (i iface) events(device event.Entity) []event.Event {
	entity := device.Interface(i.index)
	out := []event.Event{collect.State(entity, event.TypeInterface, i.state(device))}
	if c, ok := i.counters(); ok {
		out = append(out, collect.Metric(entity, event.TypeCounters, c))
	}
	return out
}

func (i iface) state(device event.Entity) event.Interface {
	admin, _ := number(i.old.at(7))
	oper, _ := number(i.old.at(8))
	mtu, _ := number(i.old.at(4))
	if mtu > math.MaxInt32 { // an INTEGER, of whichever type the agent makes it
		mtu = 0
	}
	v := event.Interface{
		Device: device, Index: i.index, Name: text(i.x.at(1)), Alias: text(i.x.at(18)),
		AdminStatus: adminStatus[admin], OperStatus: operStatus[oper],
		Speed: i.speed(), MTU: mtu, MAC: mac(i.old.at(6)),
	}
	if v.Name == "" {
		v.Name = text(i.old.at(2))
	}
	if v.Name == "" {
		v.Name = "if" + i.index
	}
	if v.AdminStatus == "" { // not offered: it is not switched off
		v.AdminStatus = "up"
	}
	if v.OperStatus == "" {
		v.OperStatus = "unknown"
	}
	return v
}

const (
	ifSpeedEnd   = 1<<32 - 1 // what ifSpeed is of everything that is faster, in bit/s
	coarse       = 20        // Mbit/s below which ifHighSpeed is too coarse
	maxHighSpeed = 1 << 31   // Mbit/s; what is above is a negative number that became a Gauge32
	bitsPerMbit  = 1_000_000
)

// speed is ifSpeed below 20 Mbit/s, where ifHighSpeed is too coarse, and
// ifHighSpeed above, where ifSpeed ends at 4.3 Gbit/s. Where one of them is
// missing or garbage the other counts. Agents that give ifHighSpeed in bit/s
// give the same number twice.
func (i iface) speed() uint64 {
	high, hasHigh := number(i.x.at(15))
	low, hasLow := number(i.old.at(5))
	hasHigh = hasHigh && high <= maxHighSpeed
	hasLow = hasLow && 0 < low && low < ifSpeedEnd
	inBits := hasLow && high == low && high >= bitsPerMbit
	switch {
	case hasHigh && high >= coarse && !inBits:
		return high * bitsPerMbit
	case hasLow:
		return low
	case hasHigh:
		return high * bitsPerMbit
	}
	return 0
}

// counters prefers 64 bits for each. ok is false when the agent counts nothing.
func (i iface) counters() (c event.Counters, ok bool) {
	// A sum beyond 64 bits is made of garbage: it counts as missing.
	sum := func(r row, columns ...int) (total uint64, ok bool) {
		for _, column := range columns {
			n, has := number(r.at(column))
			var over uint64
			if total, over = bits.Add64(total, n, 0); over != 0 {
				return 0, false
			}
			ok = ok || has
		}
		return total, ok
	}
	best := func(x, old []int) uint64 {
		n, has := sum(i.x, x...)
		if !has {
			n, has = sum(i.old, old...)
		}
		ok = ok || has
		return n
	}
	none := []int{}
	c = event.Counters{
		InOctets:    best([]int{6}, []int{10}),
		OutOctets:   best([]int{10}, []int{16}),
		InPackets:   best([]int{7, 8, 9}, []int{11, 12}),
		OutPackets:  best([]int{11, 12, 13}, []int{17, 18}),
		InDiscards:  best(none, []int{13}),
		InErrors:    best(none, []int{14}),
		OutDiscards: best(none, []int{19}),
		OutErrors:   best(none, []int{20}),
	}
	return c, ok
}
