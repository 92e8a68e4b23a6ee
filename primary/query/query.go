// Package query answers what a primary knows: devices and their parts, the
// event log, and the state of the primary itself (query.…). It may import the
// store's interfaces and the catalogue of schemas, but no implementation of the
// store, and it asks about reading only through Reading.
package query

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/primary/store"
	"midplane/schemas"
	"midplane/schemas/catalog"
	"midplane/subject"
)

const (
	queryTimeout = 10 * time.Second
	alarmsShown  = 50
)

// Config says whose answers these are.
type Config struct {
	Name    string    // of the primary
	Version string    // of the program
	Started time.Time // when the primary was

	Aside func() []string // the damaged databases that were moved away; nil: none
}

// Store is asked for what was folded.
type Store interface {
	store.Inventory
	store.Accounts
	store.EventLog
	store.Troubles
}

// Reading is asked how reading goes, and for what tenants declare.
type Reading interface {
	Reports() []api.TenantReport // of the tenants being read, by name
	Line(tenant event.Tenant, typ string) string
}

// Service answers the query door. Make it with New, run it with Run.
type Service struct {
	cfg     Config
	store   Store
	reading Reading
	types   *schemas.Set
}

// New returns a service that answers from st.
func New(cfg Config, st Store, reading Reading) *Service {
	return &Service{cfg: cfg, store: st, reading: reading, types: catalog.Set()}
}

// Run answers over nc until ctx ends, and calls ready once it does. Several
// primaries share the questions: each is a full copy.
func (s *Service) Run(ctx context.Context, nc *nats.Conn, ready func()) error {
	svc, err := micro.AddService(nc, micro.Config{
		Name: "midplane-query", Version: semver(s.cfg.Version), Description: "what a primary knows",
		Metadata: map[string]string{"primary": s.cfg.Name},
	})
	if err != nil {
		return fault.Wrap(fault.Other, err, "query service")
	}
	for verb, h := range s.handlers() {
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
		if err := wait.For(ctx, 100*time.Millisecond); err != nil {
			return nil
		}
	}
	ready()
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

func (s *Service) handlers() map[string]api.Handler {
	return map[string]api.Handler{
		api.DeviceList:    answer(s.store.Devices),
		api.InterfaceList: answer(s.store.Interfaces),
		api.CheckList:     answer(s.store.Checks),
		api.LedgerList:    answer(s.store.Accounts),
		api.DeviceGet:     answer(s.device),
		api.DeviceChanges: answer(s.store.DeviceChanges),
		api.EventList:     answer(s.events),
		api.EventFollow:   answer(s.follow),
		api.PrimaryStatus: answer(s.status),
	}
}

// Do answers a request of this process, which has to pass through no node: a verb, its
// request and its answer are those of the service.
func (s *Service) Do(ctx context.Context, verb string, req, resp any) error {
	h, ok := s.handlers()[verb]
	if !ok {
		return fault.New(fault.Invalid, "no query %q", verb)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "query %s", verb)
	}
	answer, err := h(ctx, "", body)
	if err != nil {
		return err
	}
	into, from := reflect.ValueOf(resp).Elem(), reflect.ValueOf(answer)
	if !from.Type().AssignableTo(into.Type()) {
		return fault.New(fault.Other, "query %s answers a %T", verb, answer)
	}
	into.Set(from)
	return nil
}

// answer decodes the request and asks f.
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

func (s *Service) device(ctx context.Context, ref api.DeviceRef) (api.DeviceDetail, error) {
	if ref.Tenant == "" || ref.Site == "" || ref.Device == "" {
		return api.DeviceDetail{}, fault.WithHint(fault.New(fault.Invalid, "a device is named by tenant, site and id"), "as in: midplane describe device acme/syd/r1")
	}
	d, err := s.store.Device(ctx, ref)
	s.render(d.Events)
	return d, err
}

func (s *Service) events(ctx context.Context, req api.EventRequest) (api.Page[api.Event], error) {
	page, err := s.store.Events(ctx, req)
	s.render(page.Items)
	return page, err
}

// render fills in the line for people.
func (s *Service) render(events []api.Event) {
	for i := range events {
		e := &events[i]
		schema := schemas.Schema{Type: event.Type(e.Type)}
		if entry, ok := s.types.Lookup(schema.Type); ok {
			schema = entry.Schema
		} else {
			schema.Line = s.reading.Line(event.Tenant(e.Tenant), e.Type)
		}
		e.Message = schemas.Line(schema, e.Data)
	}
}

// follow waits for the first event that matches, or answers an empty page in
// time. Next is always where to go on from.
func (s *Service) follow(ctx context.Context, req api.EventRequest) (api.Page[api.Event], error) {
	if req.Newest {
		return api.Page[api.Event]{}, fault.WithHint(fault.New(fault.Invalid, "following begins at a position"), `leave "newest" out; "after" may be "now"`)
	}
	wait := time.NewTimer(api.FollowWait)
	defer wait.Stop()
	for {
		changed := s.store.Changed() // before looking: nothing falls between
		end, err := s.store.End(ctx)
		if err != nil {
			return api.Page[api.Event]{}, err
		}
		if req.After == store.AfterNow {
			req.After = strconv.FormatUint(end, 10)
		}
		page, err := s.events(ctx, req)
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
			return page, err // Events would have refused it
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

func (s *Service) status(ctx context.Context, _ struct{}) (api.PrimaryReport, error) {
	alarms, err := s.store.Alarms(ctx, alarmsShown)
	if err != nil {
		return api.PrimaryReport{}, err
	}
	sites, err := s.store.Sites(ctx)
	if err != nil {
		return api.PrimaryReport{}, err
	}
	counts, err := s.store.Counts(ctx)
	if err != nil {
		return api.PrimaryReport{}, err
	}
	out := api.PrimaryReport{Name: s.cfg.Name, Version: s.cfg.Version, Started: s.cfg.Started, Tenants: s.reading.Reports(), Alarms: alarms}
	if s.cfg.Aside != nil {
		out.Aside = s.cfg.Aside()
	}
	for i := range out.Tenants {
		t := &out.Tenants[i]
		devices := counts[t.Tenant]
		t.Sites, t.Devices = sites[t.Tenant], &devices
	}
	return out, nil
}
