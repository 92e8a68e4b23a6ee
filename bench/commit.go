package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus"
	"midplane/internal/testcluster"
	"midplane/platform/deployment"
	"midplane/telemetry"
)

const (
	commitQuiet    = 30 * time.Second
	commitPause    = 80 * time.Millisecond // of each entity: about 100 events a second
	commitFloor    = 60.0                  // ms, p99 while nothing happens
	failoverFloor  = 12.0                  // s, every event through a fail-over
	failoverSettle = 5 * time.Second
)

// commitTime measures from an event's acknowledgement until a client that follows the
// primary's events sees it: it is shown once it is committed, so the commit was earlier.
// Then it kills −9 the node that leads EVENTS.
func commitTime(ctx context.Context, o options) (result, error) {
	r := result{floor: fmt.Sprintf("p99 ≤ %.0f ms quiet; ≤ %.0f s through a fail-over", commitFloor, failoverFloor)}
	limit, d, p, stop, err := underWay(ctx)
	if err != nil {
		return r, err
	}
	defer stop()
	p.pause = commitPause
	f, err := newFollower(d)
	if err != nil {
		return r, err
	}
	defer f.nc.Close()
	pctx, finish := context.WithCancel(limit)
	var g sync.WaitGroup
	g.Go(func() { p.run(pctx) })
	fctx, leave := context.WithCancel(limit)
	g.Go(func() { f.run(fctx) })
	defer func() { finish(); leave(); g.Wait() }()

	began := time.Now()
	quiet := commitQuiet
	if o.short {
		quiet = 5 * time.Second
	}
	time.Sleep(quiet)
	if err := f.has(limit, p); err != nil {
		return r, err
	}
	late := f.late(p, began)
	p50, p99 := percentile(late, 50), percentile(late, 99)
	r.text = append(r.text, fmt.Sprintf("quiet: %d events, p50 %.1f ms, p99 %.1f ms, longest %.1f ms", len(late), p50, p99, percentile(late, 100)))
	var worst float64
	for round := range o.rounds {
		killed := time.Now()
		gap, leader, err := killLeader(limit, d, p)
		if err != nil {
			return r, err
		}
		time.Sleep(failoverSettle)
		if err := f.has(limit, p); err != nil {
			return r, err
		}
		longest := percentile(f.late(p, killed.Add(-time.Second)), 100) / 1000
		worst = max(worst, longest)
		r.text = append(r.text, fmt.Sprintf("round %d: killed %s, publish gap %.1f s; an event was shown at most %.1f s after its acknowledgement", round+1, leader, gap.Seconds(), longest))
	}
	r.got = fmt.Sprintf("p50 %.1f ms, p99 %.1f ms quiet; at most %.1f s through %d fail-overs", p50, p99, worst, o.rounds)
	r.ok = p99 <= commitFloor && worst <= failoverFloor
	return r, nil
}

// follower sees events as the primary shows them.
type follower struct {
	nc    *nats.Conn
	query *api.Query

	mu   sync.Mutex
	seen map[string]time.Time // by event id
}

func newFollower(d *testcluster.Deployment) (*follower, error) {
	nc, err := bus.Connect(bus.Config{Servers: d.Servers, User: d.Admin, Name: "bench", CredsFile: deployment.AdminCreds(d.Folder, d.Admin), CAFile: d.CA(),
		MaxWait: 10 * time.Second}, telemetry.Nop())
	if err != nil {
		return nil, err
	}
	return &follower{nc: nc, query: api.NewQuery(nc, d.Admin), seen: map[string]time.Time{}}, nil
}

// run follows until ctx ends. An answer that a killed node owed is asked for again.
func (f *follower) run(ctx context.Context) {
	req := api.EventRequest{Tenant: "acme"}
	for ctx.Err() == nil {
		var page api.Page[api.Event]
		rctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := f.query.Do(rctx, api.EventFollow, req, &page)
		cancel()
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		now := time.Now()
		f.mu.Lock()
		for _, e := range page.Items {
			if _, known := f.seen[e.ID]; !known {
				f.seen[e.ID] = now
			}
		}
		f.mu.Unlock()
		if n := len(page.Items); n > 0 {
			req.After = strconv.FormatUint(page.Items[n-1].Position, 10)
		}
	}
}

// has waits until everything that was acknowledged by now is seen.
func (f *follower) has(ctx context.Context, p *steady) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	p.mu.Lock()
	var ids []string
	for id := range p.acked {
		ids = append(ids, id)
	}
	p.mu.Unlock()
	for {
		missing := 0
		f.mu.Lock()
		for _, id := range ids {
			if _, ok := f.seen[id]; !ok {
				missing++
			}
		}
		f.mu.Unlock()
		if missing == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d acknowledged events are not shown after a minute", missing, len(ids))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// late returns how much later than their acknowledgement events were seen, in
// milliseconds: of those that were acknowledged after since.
func (f *follower) late(p *steady, since time.Time) (out []float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, at := range p.acked {
		if seen, ok := f.seen[id]; ok && at.After(since) {
			out = append(out, max(0, seen.Sub(at).Seconds()*1000))
		}
	}
	return out
}
