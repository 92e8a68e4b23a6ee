package snmp

import (
	"maps"
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
	old, err := s.table(ifEntry)
	if err != nil {
		return nil, err
	}
	x, err := s.table(ifXEntry)
	if err != nil {
		return nil, err
	}
	var out []iface
	for _, index := range slices.SortedFunc(maps.Keys(old), compare) {
		if _, err := strconv.ParseUint(index, 10, 32); err == nil {
			out = append(out, iface{index: index, old: old[index], x: x[index]})
		}
	}
	return out, nil
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
	admin, _ := number(i.old["7"])
	oper, _ := number(i.old["8"])
	mtu, _ := number(i.old["4"])
	v := event.Interface{
		Device: device, Index: i.index, Name: text(i.x["1"]), Alias: text(i.x["18"]),
		AdminStatus: adminStatus[admin], OperStatus: operStatus[oper],
		Speed: i.speed(), MTU: mtu, MAC: mac(i.old["6"]),
	}
	if v.Name == "" {
		v.Name = text(i.old["2"])
	}
	if v.Name == "" {
		v.Name = "if" + i.index
	}
	if v.AdminStatus == "" { // not offered: nobody switched it off
		v.AdminStatus = "up"
	}
	if v.OperStatus == "" {
		v.OperStatus = "unknown"
	}
	return v
}

// speed is ifSpeed below 20 Mbit/s, where ifHighSpeed is too coarse, and
// ifHighSpeed above, where ifSpeed ends at 4.3 Gbit/s.
func (i iface) speed() uint64 {
	const ifSpeedEnd = 1<<32 - 1
	if high, ok := number(i.x["15"]); ok && high >= 20 {
		return high * 1_000_000
	}
	if speed, ok := number(i.old["5"]); ok && speed != ifSpeedEnd {
		return speed
	}
	return 0
}

// counters prefers 64 bits for each. ok is false when the agent counts nothing.
func (i iface) counters() (c event.Counters, ok bool) {
	sum := func(r row, columns ...string) (total uint64, ok bool) {
		for _, column := range columns {
			n, has := number(r[column])
			total, ok = total+n, ok || has
		}
		return total, ok
	}
	best := func(x, old []string) uint64 {
		n, has := sum(i.x, x...)
		if !has {
			n, has = sum(i.old, old...)
		}
		ok = ok || has
		return n
	}
	none := []string{}
	c = event.Counters{
		InOctets:    best([]string{"6"}, []string{"10"}),
		OutOctets:   best([]string{"10"}, []string{"16"}),
		InPackets:   best([]string{"7", "8", "9"}, []string{"11", "12"}),
		OutPackets:  best([]string{"11", "12", "13"}, []string{"17", "18"}),
		InDiscards:  best(none, []string{"13"}),
		InErrors:    best(none, []string{"14"}),
		OutDiscards: best(none, []string{"19"}),
		OutErrors:   best(none, []string{"20"}),
	}
	return c, ok
}
