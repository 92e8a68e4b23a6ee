package repair

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/telemetry"
)

// ledger is a store whose ledger lacks something, a control plane, and what is found.
type ledger struct {
	mu      sync.Mutex
	missing []store.Gap
	refuse  error
	asked   []asked
	found   []fold.Finding
	began   time.Time
}

func (l *ledger) Gaps(context.Context) ([]store.Gap, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missing, nil
}

func (l *ledger) Accounts(context.Context, api.ListRequest) (api.Page[api.Account], error) {
	return api.Page[api.Account]{}, nil
}

func (l *ledger) Do(_ context.Context, verb string, req, _ any) error {
	if verb != api.CoreResend {
		return fault.New(fault.Invalid, "asked %s", verb)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, asked{time.Since(l.began), req.(api.ResendRequest)})
	return l.refuse
}

// run looks at the ledger for so long, in the test's time.
func (l *ledger) run(t *testing.T, f func()) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l.began = time.Now()
		g := NewGaps(l, l, func(_ context.Context, tenant event.Tenant, found ...fold.Finding) error {
			if tenant != "acme" {
				return errors.New("another tenant")
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.found = append(l.found, found...)
			return nil
		}, telemetry.Nop())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		f()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// after lets time pass and then looks at the ledger, or changes it.
func (l *ledger) after(d time.Duration, f func()) {
	time.Sleep(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func gapOf(ranges ...fold.Range) []store.Gap {
	return []store.Gap{{Tenant: "acme", LedgerKey: fold.LedgerKey{Producer: "p1", Epoch: 7, Stream: event.StreamEvents}, Missing: ranges}}
}

// What is missing is asked for at once and again until it has come; then no more, and
// it is not called lost.
func TestGapsAreAskedFor(t *testing.T) {
	l := &ledger{missing: gapOf(fold.Range{From: 3, To: 4}, fold.Range{From: 9, To: 9})}
	l.run(t, func() {
		n := 0
		l.after(10*time.Minute, func() { l.missing, n = nil, len(l.asked) })
		l.after(time.Hour, func() {
			if len(l.asked) != n {
				t.Errorf("asked %d times after it had come", len(l.asked)-n)
			}
		})
	})
	want := api.ResendRequest{Tenant: "acme", Poller: "p1", Devices: []event.Entity{}, Messages: []api.MessageRange{
		{Stream: "EVENTS", Epoch: 7, From: 3, To: 4}, {Stream: "EVENTS", Epoch: 7, From: 9, To: 9}}}
	for i, a := range l.asked {
		if diff := cmp.Diff(want, a.req); diff != "" {
			t.Errorf("request %d (-want +got):\n%s", i, diff)
		}
	}
	if n := len(l.asked); n < 4 || n > 12 || l.asked[0].at > 2*gapsEvery || l.asked[1].at-l.asked[0].at > 2*gapAgain {
		t.Errorf("%d requests in ten minutes, the first after %s", n, l.asked[0].at)
	}
	if len(l.found) > 0 {
		t.Errorf("%+v", l.found)
	}
}

// What does not come is called lost by its range, once, and not asked for any more;
// another loss begins again.
func TestGapsAreCalledLost(t *testing.T) {
	l := &ledger{missing: gapOf(fold.Range{From: 3, To: 4}), refuse: fault.New(fault.NotFound, "no such poller")}
	l.run(t, func() {
		l.after(lostAfter-time.Minute, func() {
			if len(l.found) > 0 {
				t.Errorf("called lost after %s: %+v", time.Since(l.began), l.found)
			}
		})
		n := 0
		l.after(time.Hour, func() { n = len(l.asked) })
		l.after(time.Hour, func() {
			if len(l.asked) != n {
				t.Errorf("asked %d times for what is lost", len(l.asked)-n)
			}
			if len(l.found) != 1 || l.found[0].ID != "lost/p1/7/EVENTS/3-4" || l.found[0].Severity != event.Critical || l.found[0].Alarm.Alarm != fold.AlarmLost {
				t.Errorf("%+v", l.found)
			}
			l.missing = gapOf(fold.Range{From: 3, To: 4}, fold.Range{From: 8, To: 8})
		})
		l.after(time.Minute, func() {
			if len(l.asked) == n {
				t.Error("another loss is not asked for")
			}
		})
	})
}

// While some of it comes, it is asked for at the shortest distance, and it is not lost.
func TestGapsThatAreFilledInParts(t *testing.T) {
	l := &ledger{missing: gapOf(fold.Range{From: 1, To: 1000})}
	l.run(t, func() {
		for n := range 200 {
			l.after(gapAgain, func() { l.missing = gapOf(fold.Range{From: uint64(n + 2), To: 1000}) })
		}
		l.after(gapAgain, func() {
			if n := len(l.asked); n < 60 || len(l.found) > 0 {
				t.Errorf("asked %d times in %s, found %+v", n, time.Since(l.began), l.found)
			}
		})
	})
}

// While the control plane does not answer, it is asked at every look.
func TestGapsWaitForTheControlPlane(t *testing.T) {
	l := &ledger{missing: gapOf(fold.Range{From: 3, To: 4}), refuse: fault.New(fault.Unavailable, "nobody answers")}
	l.run(t, func() {
		l.after(time.Minute, func() {
			if n := len(l.asked); n < 10 {
				t.Errorf("asked %d times in a minute without an answer", n)
			}
		})
	})
}
