package index

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// put is a transaction about one device.
func put(x *Index, tenant event.Tenant, id event.Entity, r event.Reachability) {
	ch := fold.NewChanges()
	ch.Devices[fold.DeviceKey{Site: "syd", Device: id}] = &fold.Facets{Reachability: &fold.Reach{Reachability: r, Since: time.Unix(1, 0), Producer: "p1"}}
	x.Apply(tenant, &fold.Known{}, ch)
}

// What changed comes in the order of the last changes, as often as a device changed.
func TestChangesComeInTheirOrder(t *testing.T) {
	x := New()
	start := x.Changes(api.ListRequest{}, "", 10).Position
	for n := range 1000 {
		put(x, []event.Tenant{"acme", "globex"}[n%2], event.Entity(fmt.Sprintf("r%d", n*7%50)), event.Reachability{Status: "up", Message: fmt.Sprint(n)})
	}
	var got []string
	for at := start; ; {
		c := x.Changes(api.ListRequest{}, at, 7)
		if c.Again || len(c.Items) > 7 || len(c.Removed) > 0 || c.Total != 50 {
			t.Fatalf("%+v", c)
		}
		for _, p := range c.Items {
			got = append(got, p.Tenant+"/"+p.ID)
		}
		if at = c.Position; !c.More {
			break
		}
	}
	var want []string
	for n := 950; n < 1000; n++ {
		want = append(want, fmt.Sprintf("%s/r%d", []string{"acme", "globex"}[n%2], n*7%50))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// Questions are answered while transactions go on, and what they say fits together.
func TestAnswersWhileItChanges(t *testing.T) {
	x := New()
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for _, tenant := range []event.Tenant{"acme", "globex"} {
		writers.Go(func() {
			for n := range 2000 {
				put(x, tenant, event.Entity(fmt.Sprintf("r%d", n%100)), event.Reachability{Status: []string{"up", "down"}[n%2], Message: fmt.Sprint(n)})
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			at := ""
			for {
				select {
				case <-done:
					return
				default:
				}
				found, total := x.Devices(api.ListRequest{Tenant: "acme", Status: "down"}, store.Place{}, 1000)
				counts := x.Counts()["acme"]
				if len(found) != total || total > 100 || counts.Up+counts.Down > 100 {
					t.Errorf("%d of %d, %+v", len(found), total, counts)
					return
				}
				c := x.Changes(api.ListRequest{}, at, 1000)
				if c.Again != (at == "") {
					t.Errorf("again at %q", at)
					return
				}
				at = c.Position
				x.Sites()
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if c := x.Counts()["globex"]; c != (api.DeviceCounts{Up: 50, Down: 50}) {
		t.Errorf("%+v", c)
	}
}
