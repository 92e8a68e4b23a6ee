package ingress

import (
	"slices"
	"testing"
	"time"

	"midplane/event"
	"midplane/platform/registry"
)

func TestOutage(t *testing.T) {
	var o outage
	for _, tc := range []struct {
		after     time.Duration
		connected bool
		long      bool
	}{
		{0, true, false}, {time.Second, false, false}, {3 * time.Second, false, false}, {3001 * time.Millisecond, false, true},
		{10 * time.Second, false, true}, {11 * time.Second, true, false}, {12 * time.Second, false, false}, {14 * time.Second, false, false}, {15 * time.Second, false, true},
	} {
		if got := o.long(tc.connected, noon.Add(tc.after)); got != tc.long {
			t.Errorf("after %s, connected %t: %t", tc.after, tc.connected, got)
		}
	}
}

// A door that has lost its connection is reported closed, and open again
// when it is back, without any change of the registry.
func TestDoorWithoutConnectionIsClosed(t *testing.T) {
	up := true
	d := &door{tenant: "acme", connected: func() bool { return up }}
	i := &Ingress{doors: map[event.Tenant]*door{"acme": d, "globex": {tenant: "globex", connected: func() bool { return true }}}, loaded: map[event.Tenant]uint64{}, notify: make(chan struct{}, 1)}
	look := func() (closed []string, open int) {
		i.sync(t.Context(), &registry.View{Revision: 1}, 3, false)
		_, closed, open = i.Loaded()
		return closed, open
	}
	if closed, open := look(); len(closed) != 0 || open != 2 {
		t.Fatalf("closed %v, %d open", closed, open)
	}
	<-i.Moved()
	up = false
	look()
	d.outage.since = d.outage.since.Add(-outageFor)
	if closed, open := look(); !slices.Equal(closed, []string{"acme"}) || open != 1 {
		t.Errorf("closed %v, %d open", closed, open)
	}
	select {
	case <-i.Moved():
	default:
		t.Error("the change is not signalled")
	}
	up = true
	if closed, open := look(); len(closed) != 0 || open != 2 {
		t.Errorf("back, closed %v, %d open", closed, open)
	}
}
