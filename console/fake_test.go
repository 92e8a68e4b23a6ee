package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// fake answers both doors from memory, through JSON as the wire would.
type fake struct {
	mu      sync.Mutex
	down    map[string]error // by verb
	devices []api.Device
	tenants []api.Tenant
	log     []api.Event
	more    chan struct{} // closed and renewed when the log grows
	asked   []string      // verb and request, in order
	pageMax int
}

func newFake() *fake {
	return &fake{down: map[string]error{}, more: make(chan struct{}), pageMax: 2}
}

func (f *fake) fail(verb string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down[verb] = err
}

func (f *fake) happen(messages ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range messages {
		n := uint64(len(f.log) + 1)
		f.log = append(f.log, api.Event{
			Tenant: "acme", Site: "syd", ID: fmt.Sprint("e-", n), Severity: event.Warning, Type: "net.reachability.changed.v1",
			Entity: "r1", Message: m, Producer: "syd-01", TraceID: "0af7651916cd43dd8448eb211c80319c", Stream: event.StreamEvents,
			Seq: n, Position: n, Time: time.Unix(int64(n), 0).UTC(), Received: time.Unix(int64(n), 0).UTC(),
		})
	}
	close(f.more)
	f.more = make(chan struct{})
}

func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.asked...)
}

func (f *fake) Admin(ctx context.Context, verb string, req, resp any) error {
	return f.do(ctx, "admin", verb, req, resp)
}

func (f *fake) Query(ctx context.Context, verb string, req, resp any) error {
	return f.do(ctx, "query", verb, req, resp)
}

func (f *fake) do(ctx context.Context, door, verb string, req, resp any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.asked = append(f.asked, door+" "+verb+" "+string(body))
	err = f.down[verb]
	f.mu.Unlock()
	if err != nil {
		return err
	}
	answer, err := f.answer(ctx, door+" "+verb, body)
	if err != nil {
		return err
	}
	if body, err = json.Marshal(answer); err != nil {
		return err
	}
	return json.Unmarshal(body, resp)
}

func (f *fake) answer(ctx context.Context, verb string, body []byte) (any, error) {
	var list api.ListRequest
	switch verb {
	case "query event.list", "query event.follow":
		var req api.EventRequest
		if err := json.Unmarshal(body, &req); err != nil {
			return nil, err
		}
		if verb == "query event.follow" {
			return f.follow(ctx, req)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if req.Newest {
			return api.Page[api.Event]{Items: f.log[max(0, len(f.log)-req.Limit):]}, nil
		}
		return pageOf(f.log, req.Limit, req.After, f.pageMax)
	case "query device.get":
		var ref api.DeviceRef
		err := json.Unmarshal(body, &ref)
		return api.DeviceDetail{Device: api.Device{ID: ref.Device, Tenant: ref.Tenant, Site: ref.Site}}, err
	case "query device.changes":
		return f.changes(body)
	case "admin node.status":
		return api.ClusterStatus{Leader: "n1", Nodes: []api.Node{{ID: "n1", Live: true}}}, nil
	case "query primary.status":
		return api.PrimaryReport{Name: "p1", Tenants: []api.TenantReport{{Tenant: "acme"}}}, nil
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch verb {
	case "query device.list":
		return pageOf(f.devices, list.Limit, list.After, f.pageMax)
	case "admin tenant.list":
		return pageOf(f.tenants, list.Limit, list.After, f.pageMax)
	case "admin site.list", "admin poller.list", "admin stream.list", "admin replica.list", "admin limits.list", "admin schema.list", "query interface.list", "query check.list", "query ledger.list":
		return map[string]any{}, nil
	}
	return nil, fmt.Errorf("unexpected verb %s", verb)
}

// changes answers that the devices from a number on have changed.
func (f *fake) changes(body []byte) (any, error) {
	var req api.ChangesRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out := api.Changes{Position: fmt.Sprintf("db.%d", len(f.devices)), Total: len(f.devices)}
	from := 0
	if _, err := fmt.Sscanf(req.Since, "db.%d", &from); err != nil || from > len(f.devices) {
		out.Again = true
		return out, nil
	}
	out.Items = f.devices[from:]
	return out, nil
}

// follow answers what is after req.After, or waits for it.
func (f *fake) follow(ctx context.Context, req api.EventRequest) (any, error) {
	from := 0
	if _, err := fmt.Sscan(req.After, &from); err != nil && req.After != "" {
		return nil, fault.New(fault.Invalid, "position %q", req.After)
	}
	for {
		f.mu.Lock()
		news, more := f.log[min(from, len(f.log)):], f.more
		f.mu.Unlock()
		if len(news) > 0 {
			return api.Page[api.Event]{Items: news}, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func pageOf[T any](all []T, limit int, after string, most int) (any, error) {
	from := 0
	if after != "" {
		if _, err := fmt.Sscan(after, &from); err != nil {
			return nil, fault.New(fault.Invalid, "after %q", after)
		}
	}
	if limit == 0 {
		limit = most
	}
	to := min(len(all), from+limit)
	p := api.Page[T]{Items: all[from:to]}
	if to < len(all) {
		p.Next = fmt.Sprint(to)
	}
	return p, nil
}

var errTest = errors.New("the disk hums")

func devices(ids ...string) []api.Device {
	var out []api.Device
	for _, id := range ids {
		out = append(out, api.Device{ID: id, Tenant: "acme", Site: "syd", Status: event.StatusUp})
	}
	return out
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}
