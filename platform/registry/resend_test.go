package registry

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
)

// What is asked again a moment later is the same request, what is old is dropped, and
// of many the newest stay.
func TestAddResends(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ago := func(device event.Entity, d time.Duration) api.Resend {
		return api.Resend{Device: device, Asked: now.Add(-d)}
	}
	lost := func(from uint64, d time.Duration) api.Resend {
		return api.Resend{Messages: &api.MessageRange{Stream: event.StreamEvents, Epoch: 7, From: from, To: from + 1}, Asked: now.Add(-d)}
	}
	var many []api.Resend
	for i := range api.MaxResend {
		many = append(many, ago(event.Entity(fmt.Sprint(i)), 0))
	}
	for name, tc := range map[string]struct {
		kept  []api.Resend
		asked []api.Resend
		want  []api.Resend
		fresh bool
	}{
		"first":        {nil, []api.Resend{ago("r1", 0), ago("r2", 0), ago("r1", 0)}, []api.Resend{ago("r1", 0), ago("r2", 0)}, true},
		"a moment ago": {[]api.Resend{ago("r1", 9*time.Second)}, []api.Resend{ago("r1", 0)}, []api.Resend{ago("r1", 9*time.Second)}, false},
		"again":        {[]api.Resend{ago("r1", 10*time.Second), ago("r2", time.Second)}, []api.Resend{ago("r1", 0)}, []api.Resend{ago("r2", time.Second), ago("r1", 0)}, true},
		"messages":     {[]api.Resend{ago("r1", time.Second), lost(1, 9*time.Second), lost(5, 10*time.Second)}, []api.Resend{lost(1, 0), lost(3, 0), lost(5, 0)}, []api.Resend{ago("r1", time.Second), lost(1, 9*time.Second), lost(3, 0), lost(5, 0)}, true},
	} {
		got, fresh := addResends(slices.Clone(tc.kept), tc.asked, now)
		if d := cmp.Diff(tc.want, got); d != "" || fresh != tc.fresh {
			t.Errorf("%s: %v, %s", name, fresh, d)
		}
	}
	got, _ := addResends([]api.Resend{ago("old", time.Minute), ago("new", time.Second)}, many[1:], now)
	if len(got) != api.MaxResend || got[0].Device != "new" || got[len(got)-1].Device != many[len(many)-1].Device {
		t.Errorf("%d are kept, from %s to %s", len(got), got[0].Device, got[len(got)-1].Device)
	}
}

// Requests of several primaries at once are all kept, and none for longer than it
// means something.
func TestAskResend(t *testing.T) {
	r, b, _ := pair(t)
	now := time.Now()
	var wg sync.WaitGroup
	for i, node := range []*Registry{r, b, r, b} {
		wg.Go(func() {
			if fresh, err := node.AskResend(testContext(t), "acme", "syd-01", []api.Resend{{Device: event.Entity(fmt.Sprint("r", i))}}, now); err != nil || !fresh {
				t.Errorf("r%d: %v, %v", i, fresh, err)
			}
		})
	}
	wg.Wait()
	if err := r.Status.Wait(testContext(t), 4); err != nil {
		t.Fatal(err)
	}
	if got := r.Resends("acme", "syd-01", now); len(got) != 4 {
		t.Errorf("%+v are kept", got)
	}
	if got := r.Resends("acme", "syd-01", now.Add(resendFor+time.Second)); len(got) != 0 {
		t.Errorf("after a quarter of an hour: %+v", got)
	}
	if got := r.Resends("acme", "syd-02", now); len(got) != 0 {
		t.Errorf("of another poller: %+v", got)
	}
}
