package primary

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/store"
	"midplane/schemas"
	"midplane/schemas/catalog"
	"midplane/subject"
)

const (
	queryTimeout = 10 * time.Second
	alarmsShown  = 50
)

// serve answers queries until ctx ends. Several primaries share them: each is
// a full copy.
func (p *Primary) serve(ctx context.Context, nc *nats.Conn) error {
	svc, err := micro.AddService(nc, micro.Config{
		Name: "midplane-query", Version: semver(p.cfg.Version), Description: "what a primary knows",
		Metadata: map[string]string{"primary": p.cfg.Name},
	})
	if err != nil {
		return fault.Wrap(fault.Other, err, "query service")
	}
	q := &queries{p: p, types: catalog.Set()}
	for verb, h := range q.handlers() {
		timeout := queryTimeout
		if verb == api.EventFollow {
			timeout = api.FollowWait + queryTimeout
		}
		err := svc.AddEndpoint(strings.ReplaceAll(verb, ".", "-"), api.Endpoint(ctx, timeout, h),
			micro.WithEndpointSubject(subject.Request(subject.DoorQuery, "*", verb)))
		if err != nil {
			return fault.Wrap(fault.Other, err, "query %s", verb)
		}
	}
	// The server has our subscriptions when it has answered a ping behind them.
	for {
		flush, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := nc.FlushWithContext(flush)
		cancel()
		if err == nil {
			break
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return nil
		}
	}
	close(p.ready)
	<-ctx.Done()
	return svc.Stop()
}

// semver makes any version acceptable to the service protocol.
func semver(v string) string {
	v = strings.TrimPrefix(v, "v")
	core, _, _ := strings.Cut(v, "-")
	parts := strings.Split(core, ".")
	if len(parts) == 3 && !slices.ContainsFunc(parts, func(s string) bool { _, err := strconv.ParseUint(s, 10, 31); return err != nil }) {
		return core
	}
	return "0.0.0"
}

// queries answers the query door.
type queries struct {
	p     *Primary
	types *schemas.Set
}

func (q *queries) handlers() map[string]api.Handler {
	s := q.p.store
	return map[string]api.Handler{
		api.DeviceList:    answer(s.Devices),
		api.InterfaceList: answer(s.Interfaces),
		api.CheckList:     answer(s.Checks),
		api.DeviceGet:     answer(q.device),
		api.EventList:     answer(q.events),
		api.EventFollow:   answer(q.follow),
		api.PrimaryStatus: answer(q.status),
	}
}

// answer decodes the request strictly and asks f.
func answer[Req, Resp any](f func(context.Context, Req) (Resp, error)) api.Handler {
	return func(ctx context.Context, _ string, body []byte) (any, error) {
		var req Req
		if len(body) > 0 {
			if err := api.Decode(body, &req); err != nil {
				return nil, err
			}
		}
		resp, err := f(ctx, req)
		if err != nil {
			return nil, err
		}
		return resp, nil
	}
}

func (q *queries) device(ctx context.Context, ref api.DeviceRef) (api.DeviceDetail, error) {
	if ref.Tenant == "" || ref.Site == "" || ref.Device == "" {
		return api.DeviceDetail{}, fault.WithHint(fault.New(fault.Invalid, "a device is named by tenant, site and id"), "as in: midplane describe device acme/syd/r1")
	}
	d, err := q.p.store.Device(ctx, ref)
	q.render(d.Events)
	return d, err
}

func (q *queries) events(ctx context.Context, req api.EventRequest) (api.Page[api.Event], error) {
	page, err := q.p.store.Events(ctx, req)
	q.render(page.Items)
	return page, err
}

// render fills in the line for people.
func (q *queries) render(events []api.Event) {
	for i := range events {
		e := &events[i]
		s := schemas.Schema{Type: event.Type(e.Type)}
		if entry, ok := q.types.Lookup(s.Type); ok {
			s = entry.Schema
		} else if t := q.p.tenant(event.Tenant(e.Tenant)); t != nil {
			s.Line = t.line(e.Type)
		}
		e.Message = schemas.Line(s, e.Data)
	}
}

// follow waits for the first event that matches, or answers an empty page in
// time. Next is always where to go on from.
func (q *queries) follow(ctx context.Context, req api.EventRequest) (api.Page[api.Event], error) {
	if req.Newest {
		return api.Page[api.Event]{}, fault.WithHint(fault.New(fault.Invalid, "following begins at a position"), `leave "newest" out; "after" may be "now"`)
	}
	wait := time.NewTimer(api.FollowWait)
	defer wait.Stop()
	for {
		changed := q.p.store.Changed() // before looking: nothing falls between
		end, err := q.p.store.End(ctx)
		if err != nil {
			return api.Page[api.Event]{}, err
		}
		if req.After == store.AfterNow {
			req.After = strconv.FormatUint(end, 10)
		}
		page, err := q.events(ctx, req)
		switch {
		case err != nil:
			return page, err
		case page.Next != "":
			return page, nil
		case len(page.Items) > 0:
			// What was looked at reaches to the end, or beyond it to the last item.
			page.Next = strconv.FormatUint(max(end, page.Items[len(page.Items)-1].Position), 10)
			return page, nil
		}
		from, err := strconv.ParseUint(cmp.Or(req.After, "0"), 10, 63)
		if err != nil {
			return page, err // Events would have said so
		}
		req.After = strconv.FormatUint(max(from, end), 10)
		select {
		case <-changed:
		case <-wait.C:
			page.Next = req.After
			return page, nil
		case <-ctx.Done():
			return page, ctx.Err()
		}
	}
}

func (q *queries) status(ctx context.Context, _ struct{}) (api.PrimaryReport, error) {
	p := q.p
	alarms, err := p.store.Alarms(ctx, alarmsShown)
	if err != nil {
		return api.PrimaryReport{}, err
	}
	out := api.PrimaryReport{Name: p.cfg.Name, Version: p.cfg.Version, Started: p.started, Tenants: []api.TenantReport{}, Alarms: alarms}
	for _, t := range p.all() {
		out.Tenants = append(out.Tenants, t.status())
	}
	return out, nil
}

// all returns the tenants being read, by name.
func (p *Primary) all() []*tenant {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*tenant, 0, len(p.tenants))
	for _, t := range p.tenants {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *tenant) int { return cmp.Compare(a.id, b.id) })
	return out
}

func (t *tenant) status() api.TenantReport {
	t.mu.Lock()
	out := api.TenantReport{Tenant: string(t.id), Problem: t.problem, Reading: true, Streams: []api.StreamReport{}}
	t.mu.Unlock()
	for _, r := range t.readers {
		st := r.status()
		out.Reading = out.Reading && st.reading
		if out.Problem == "" {
			out.Problem = st.problem
		}
		row := api.StreamReport{Stream: r.stream, Cursor: st.cursor.Seq, Last: max(st.last, st.cursor.Seq), Lag: lagOf(st)}
		if !st.folded.IsZero() {
			row.Folded = &st.folded
		}
		out.Streams = append(out.Streams, row)
	}
	return out
}
