package ingress

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/internal/pulse"
)

// What waits at a door when its process goes on is dropped before anything is looked
// at, and so is what a door still has that was made before the stop.
func TestDoorDropsWhatIsOld(t *testing.T) {
	var p pulse.Pulse
	var stops atomic.Uint64
	d := &door{pulse: &p, stops: &stops}
	d.counts.drops = map[string]uint64{}
	if p.Beat(time.Now()); d.still(time.Now()) {
		t.Error("a door of a process that runs is still")
	}
	p.Beat(time.Now().Add(-pulse.Stopped - time.Second))
	d.handle(&nats.Msg{})
	stops.Add(1)
	p.Beat(time.Now())
	d.handle(&nats.Msg{})
	if n := d.counts.drops["stopped"]; n != 2 {
		t.Errorf("%d were dropped", n)
	}
}
