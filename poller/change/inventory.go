package change

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"midplane/event"
)

// bootTolerance is how much later a boot time must be to mean a restart. A
// boot time is "now minus uptime", two clocks and one network away from the
// truth: it wanders by seconds. No device restarts twice a minute and is
// polled both times.
const bootTolerance = time.Minute

// inventory: the device restarted, or is not what it was.
func inventory(_ moment, was *event.Inventory, is event.Inventory) []finding {
	if was == nil {
		return []finding{{event.Notice, event.TypeInventoryChanged, event.Changed{
			Device: is.Device, Name: "inventory", From: "", To: clip(describe(is)),
			Message: clip("first seen: " + describe(is))}}}
	}
	var out []finding
	if restarted(was.BootTime, is.BootTime) {
		to := stamp(*is.BootTime)
		out = append(out, finding{event.Warning, event.TypeRestarted, event.Changed{
			Device: is.Device, From: stamp(*was.BootTime), To: to, Message: "running since " + to}})
	}
	if d := differences(*was, is); len(d) > 0 {
		out = append(out, finding{event.Notice, event.TypeInventoryChanged, d.changed(is)})
	}
	return out
}

// ticksAround is how long a device's uptime in hundredths of a second lasts in
// 32 bits: then it begins again, and the boot time jumps by just so much.
const ticksAround = (1 << 32) * 10 * time.Millisecond

// restarted compares two boot times; what is not known is no restart.
func restarted(was, is *time.Time) bool {
	if was == nil || is == nil {
		return false
	}
	later := is.Sub(*was)
	wrapped := (later - ticksAround).Abs() <= 2*bootTolerance
	return later > bootTolerance && !wrapped
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// describe says in a few words what a device is.
func describe(v event.Inventory) string {
	for _, s := range []string{v.Model, v.OS, v.Description, v.Name} {
		if s != "" {
			return s
		}
	}
	return "no description"
}

// difference is one thing that changed: what, from, to.
type difference [3]string

type differenceList []difference

// maxDifferences is how many are named; the rest is a number.
const maxDifferences = 8

// changed returns the list as one payload. Name is what changed when it is one
// thing, From and To are the values of all.
func (d differenceList) changed(is event.Inventory) event.Changed {
	var parts, from, to []string
	for i, one := range d {
		if i == maxDifferences {
			parts = append(parts, fmt.Sprintf("and %d more", len(d)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %s → %s", one[0], shown(one[1]), shown(one[2])))
		from, to = append(from, one[1]), append(to, one[2])
	}
	name := "inventory"
	if len(d) == 1 {
		name = d[0][0]
	}
	return event.Changed{Device: is.Device, Name: clip(name), From: clip(strings.Join(from, ", ")),
		To: clip(strings.Join(to, ", ")), Message: clip(strings.Join(parts, ", "))}
}

func shown(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// differences compares everything but the boot time.
func differences(was, is event.Inventory) differenceList {
	var out differenceList
	field := func(name, a, b string) {
		if a != b {
			out = append(out, difference{name, a, b})
		}
	}
	field("name", was.Name, is.Name)
	field("model", was.Model, is.Model)
	field("serial", was.Serial, is.Serial)
	field("OS", was.OS, is.OS)
	field("description", was.Description, is.Description)
	field("object id", was.ObjectID, is.ObjectID)
	field("contact", was.Contact, is.Contact)
	field("location", was.Location, is.Location)
	return append(out, components(was.Components, is.Components)...)
}

// components compares by index; their order does not matter.
func components(was, is []event.Component) differenceList {
	old := byIndex(was)
	now := byIndex(is)
	var out differenceList
	for _, index := range sortedKeys(old, now) {
		a, hadIt := old[index]
		b, hasIt := now[index]
		switch {
		case !hadIt:
			out = append(out, difference{what(b), "", identity(b)})
		case !hasIt:
			out = append(out, difference{what(a), identity(a), ""})
		case a != b:
			out = append(out, difference{what(b), identity(a), identity(b)})
		}
	}
	return out
}

func byIndex(list []event.Component) map[string]event.Component {
	m := make(map[string]event.Component, len(list))
	for _, c := range list {
		m[c.Index] = c
	}
	return m
}

func sortedKeys(a, b map[string]event.Component) []string {
	keys := make([]string, 0, len(a)+len(b))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func what(c event.Component) string { return strings.TrimSpace(c.Class + " " + c.Index) }

// identity tells a component by all that may differ.
func identity(c event.Component) string {
	var parts []string
	for _, s := range []string{c.Name, c.Model} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if c.Serial != "" {
		parts = append(parts, "serial "+c.Serial)
	}
	if c.Bytes != 0 {
		parts = append(parts, fmt.Sprintf("%d bytes", c.Bytes))
	}
	if len(parts) == 0 {
		return "present"
	}
	return strings.Join(parts, " ")
}
