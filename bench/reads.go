package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/primary/store"
	"midplane/primary/store/sqlite"
)

// readsFloor is what each question may take at readsDevices devices, in 99 of 100 cases.
const (
	readsFloor   = 50 * time.Millisecond
	readsDevices = 50_000
	readsShort   = 5_000
)

// readsRun measures what a primary is asked: by the command line (the query service,
// in this process) and by the page (its HTTP API).
func readsRun(ctx context.Context, o options) (result, error) {
	devices, times := readsDevices, 200
	if o.short {
		devices, times = readsShort, 50
	}
	r := result{floor: fmt.Sprintf("p99 of each ≤ %d ms at %d devices", readsFloor.Milliseconds(), devices), ok: true}
	dir, err := os.MkdirTemp("", "midplane-bench-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	w, err := newReadsWorld(ctx, dir, devices)
	if err != nil {
		return r, err
	}
	defer func() { w.db.Close() }()
	r.text = append(r.text, fmt.Sprintf("%d devices in %d tenants, a check each, %d interfaces; made in %.1f s, opened in %.2f s",
		devices, readsTenants, devices/readsPart*readsInterfaces, w.made.Seconds(), w.opened.Seconds()))
	worst, slowest := time.Duration(0), ""
	for _, q := range w.questions() {
		var took []float64
		var used time.Duration // CPU, which is sturdier than time when a machine is shared
		for n := range times {
			if q.before != nil {
				if err := q.before(ctx, n); err != nil {
					return r, err
				}
			}
			began, before := time.Now(), cpu()
			err := q.ask(ctx, n)
			took, used = append(took, float64(time.Since(began))/float64(time.Millisecond)), used+cpu()-before
			if err != nil {
				return r, fmt.Errorf("%s: %w", q.name, err)
			}
		}
		p99 := percentile(took, 99)
		r.text = append(r.text, fmt.Sprintf("%-44s p50 %6.2f ms, p99 %6.2f ms, CPU %6.2f ms", q.name, median(took), p99, used.Seconds()*1000/float64(times)))
		if d := time.Duration(p99 * float64(time.Millisecond)); d > worst {
			worst, slowest = d, q.name
		}
	}
	r.ok = worst <= readsFloor
	r.got = fmt.Sprintf("slowest p99 %.1f ms (%s)", float64(worst)/float64(time.Millisecond), slowest)
	return r, nil
}

// question is something that is asked again and again.
type question struct {
	name   string
	before func(ctx context.Context, n int) error // not measured
	ask    func(ctx context.Context, n int) error
}

func (w *readsWorld) questions() []question {
	list := func(name, verb string, req func(n int) api.ListRequest, want func(int) bool) question {
		return question{name: name, ask: func(ctx context.Context, n int) error {
			rows, err := w.list(ctx, verb, req(n))
			if err == nil && !want(rows) {
				err = fmt.Errorf("%d rows", rows)
			}
			return err
		}}
	}
	rows := func(want int) func(int) bool { return func(n int) bool { return n == want } }
	some := func(n int) bool { return n > 0 }
	page := func(n int) string {
		return store.Place{Tenant: readsTenant(n % readsTenants), Site: "syd", ID: readsDevice(n * 37 % w.devices)}.Token()
	}
	position := ""
	return []question{
		list("get device X", api.DeviceList, func(n int) api.ListRequest { return api.ListRequest{Name: readsDevice(n * 97 % w.devices)} }, rows(1)),
		{name: "describe device X", ask: func(ctx context.Context, n int) error {
			at := n * 97 % w.devices
			ref := api.DeviceRef{Tenant: readsTenant(at % readsTenants), Site: readsSite(at), Device: readsDevice(at)}
			return w.query.Do(ctx, api.DeviceGet, ref, &api.DeviceDetail{})
		}},
		list("a page of 200 devices", api.DeviceList, func(n int) api.ListRequest { return api.ListRequest{Limit: 200, After: page(n)} }, some),
		list("devices that are down, 200", api.DeviceList, func(int) api.ListRequest { return api.ListRequest{Status: event.StatusDown, Limit: 200} }, some),
		list("devices of a poller, 200", api.DeviceList, func(n int) api.ListRequest {
			return api.ListRequest{Poller: fmt.Sprintf("p%d", n%readsPollers), Limit: 200}
		}, some),
		list("search, one found", api.DeviceList, func(n int) api.ListRequest {
			return api.ListRequest{Search: "core " + readsDevice(n * 89 % w.devices)[1:]}
		}, rows(1)),
		list("search, none found", api.DeviceList, func(int) api.ListRequest { return api.ListRequest{Search: "printer"} }, rows(0)),
		list("checks that are critical, 200", api.CheckList, func(int) api.ListRequest { return api.ListRequest{Status: event.CheckCritical, Limit: 200} }, some),
		list("interfaces by a word, what one page looks at", api.InterfaceList, func(int) api.ListRequest { return api.ListRequest{Search: "no such alias"} }, rows(0)),
		{name: "20 changes since a position", before: func(ctx context.Context, n int) error {
			var c api.Changes
			err := w.query.Do(ctx, api.DeviceChanges, api.ChangesRequest{}, &c)
			if position = c.Position; err == nil {
				err = w.change(ctx, n, 20)
			}
			return err
		}, ask: func(ctx context.Context, _ int) error {
			var c api.Changes
			err := w.query.Do(ctx, api.DeviceChanges, api.ChangesRequest{Since: position}, &c)
			if err == nil && len(c.Items) != 20 {
				err = fmt.Errorf("%d changes", len(c.Items))
			}
			return err
		}},
		{name: "status with counts and what is down", ask: func(ctx context.Context, _ int) error {
			return w.query.Do(ctx, api.PrimaryStatus, struct{}{}, &api.PrimaryReport{})
		}},
		{name: "the page's first load, of the primary", ask: func(ctx context.Context, _ int) error {
			return w.get(ctx, "/api/v1/status", "/api/v1/devices/changes?limit=1", "/api/v1/devices?order=status&limit=200", "/api/v1/events?limit=100&newest=true")
		}},
		{name: "the page's look for changes", ask: func(ctx context.Context, _ int) error {
			return w.get(ctx, "/api/v1/devices/changes?limit=500&since="+position)
		}},
	}
}

func (w *readsWorld) list(ctx context.Context, verb string, req api.ListRequest) (rows int, err error) {
	switch verb {
	case api.CheckList:
		var p api.Page[api.Check]
		err = w.query.Do(ctx, verb, req, &p)
		return len(p.Items), err
	case api.InterfaceList:
		var p api.Page[api.Interface]
		err = w.query.Do(ctx, verb, req, &p)
		return len(p.Items), err
	}
	var p api.Page[api.Device]
	err = w.query.Do(ctx, verb, req, &p)
	return len(p.Items), err
}

// get asks the HTTP API, one path after the other.
func (w *readsWorld) get(ctx context.Context, paths ...string) error {
	for _, path := range paths {
		req := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1"+path, http.NoBody)
		req.Header.Set("Authorization", "Bearer "+w.token)
		answer := httptest.NewRecorder()
		w.page.ServeHTTP(answer, req)
		if answer.Code != http.StatusOK {
			return fmt.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	return nil
}

// reopen closes the database and opens it again, as a primary that starts does.
func (w *readsWorld) reopen(ctx context.Context, dir string) (err error) {
	if err = w.db.Close(); err == nil {
		began := time.Now()
		w.db, err = sqlite.Open(ctx, dir, store.Options{})
		w.opened = time.Since(began)
	}
	return err
}
