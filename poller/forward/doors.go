package forward

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"midplane/event"
	"midplane/schemas/catalog"
	"midplane/telemetry"
)

// Doors knows which versions of Midplane's own types the doors of the cluster
// take, and leaves out what they would refuse: a poller may be newer than the
// nodes. A state that is left out comes again with the check's next run, so that
// nothing is lost by waiting; what a door refuses is given up for good.
type Doors struct {
	tel telemetry.Telemetry

	mu    sync.Mutex
	takes map[event.Type]int  // above version 1
	left  map[event.Type]bool // of which something has been left out since takes or the checks changed
}

// NewDoors returns doors that take version 1 of every type.
func NewDoors(tel telemetry.Telemetry) *Doors {
	return &Doors{tel: tel, left: map[event.Type]bool{}}
}

// Set is given what the control plane says. What is not in it has version 1.
func (d *Doors) Set(takes map[event.Type]int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !maps.Equal(d.takes, takes) {
		d.takes = maps.Clone(takes)
		clear(d.left)
	}
}

// Version returns which version of one of Midplane's own types the doors take.
func (d *Doors) Version(t event.Type) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return max(d.takes[t], 1)
}

// Forget begins to count again: the checks have changed, and what was left out
// may no longer come.
func (d *Doors) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.left)
}

// Pass returns those of es that the doors take.
func (d *Doors) Pass(es []event.Event) []event.Event {
	if !slices.ContainsFunc(es, d.refuse) {
		return es
	}
	out := make([]event.Event, 0, len(es))
	for _, e := range es {
		if !d.refuse(e) {
			out = append(out, e)
			continue
		}
		d.note(e)
	}
	return out
}

// refuse reports whether a door of the version that all nodes have would refuse e
// although this poller's own version of the type takes it.
func (d *Doors) refuse(e event.Event) bool {
	older, ok := catalog.Earlier(e.Type, d.Version(e.Type))
	return ok && older.Validator.Validate(e.Data) != nil
}

// note logs the first message of a type that is left out.
func (d *Doors) note(e event.Event) {
	d.mu.Lock()
	first := !d.left[e.Type]
	d.left[e.Type] = true
	d.mu.Unlock()
	if first {
		d.tel.Log.Warn("a message is left out until all nodes of the cluster take it", "type", string(e.Type), "entity", string(e.Entity),
			"hint", "upgrade the nodes; a message of this kind is sent once the last one is")
	}
}

// Problem names a type of which messages are left out, or is "".
func (d *Doors) Problem() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	types := slices.Sorted(maps.Keys(d.left))
	if len(types) == 0 {
		return ""
	}
	return fmt.Sprintf("messages of type %s are left out: a node of the cluster is older than this poller and would refuse them; upgrade the nodes", types[0])
}
