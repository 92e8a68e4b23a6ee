package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/primary/store"
)

// mirror is what a program keeps that reads a list once and then what changed.
type mirror struct {
	t    *testing.T
	s    store.Inventory
	req  api.ListRequest
	at   string
	rows map[string]api.Device
}

func newMirror(t *testing.T, s store.Inventory, req api.ListRequest) *mirror {
	m := &mirror{t: t, s: s, req: req}
	m.begin(ok(s.DeviceChanges(ctx, api.ChangesRequest{ListRequest: req}))(t))
	return m
}

func (m *mirror) begin(c api.Changes) {
	m.t.Helper()
	if !c.Again || c.Position == "" {
		m.t.Fatalf("without a position: %+v", c)
	}
	m.at, m.rows = c.Position, map[string]api.Device{}
	for req := m.req; ; {
		page := ok(m.s.Devices(ctx, req))(m.t)
		for _, d := range page.Items {
			m.rows[d.Tenant+"/"+d.Site+"/"+d.ID] = d
		}
		if req.After = page.Next; page.Next == "" {
			return
		}
	}
}

// follow takes what changed, and returns how many devices that were and whether it
// had to begin again.
func (m *mirror) follow() (changed int, again bool) {
	m.t.Helper()
	for {
		c := ok(m.s.DeviceChanges(ctx, api.ChangesRequest{ListRequest: m.req, Since: m.at}))(m.t)
		if c.Again {
			m.begin(c)
			return changed, true
		}
		m.at = c.Position
		changed += len(c.Items) + len(c.Removed)
		for _, d := range c.Items {
			m.rows[d.Tenant+"/"+d.Site+"/"+d.ID] = d
		}
		for _, d := range c.Removed {
			delete(m.rows, d.Tenant+"/"+d.Site+"/"+d.Device)
		}
		if !c.More {
			if c.Total != len(m.rows) {
				m.t.Errorf("%+v: %d in all, want %d", m.req, c.Total, len(m.rows))
			}
			return changed, false
		}
	}
}

// check compares it with the list.
func (m *mirror) check() {
	m.t.Helper()
	now := newMirror(m.t, m.s, m.req)
	for _, rows := range []map[string]api.Device{m.rows, now.rows} {
		for key, d := range rows {
			d.LastSeen = nil
			rows[key] = d
		}
	}
	if diff := cmp.Diff(now.rows, m.rows); diff != "" {
		m.t.Fatalf("%+v (-list +followed):\n%s", m.req, diff)
	}
}

// Who reads a list and then what changed has the same as who reads the list, whatever
// happens; and reads no more than what changed.
func deviceChanges(t *testing.T, e Exam) {
	dir := t.TempDir()
	s := e.Open(t, dir, store.Options{})
	t.Cleanup(func() { _ = s.Close() })
	f := newFeed(t, s)
	var mirrors []*mirror
	for _, req := range []api.ListRequest{{}, {Tenant: "acme"}, {Tenant: "globex"}, {Status: "down"}, {Tenant: "acme", Search: "core", Limit: 3}, {Poller: "p2", Limit: 1}} {
		mirrors = append(mirrors, newMirror(t, s, req))
	}
	statuses := []string{"up", "down", "unknown"}
	for step := range 400 {
		tenant := []event.Tenant{"acme", "globex"}[step/3%2]
		dev := event.Entity(fmt.Sprintf("r%d", step*7%23))
		at := time.Duration(step) * time.Second
		switch step * 5 % 11 {
		case 0, 1:
			f.put(tenant, event.KindState, dev, event.TypeDeclared, at, event.Declared{Device: dev, Address: fmt.Sprint(step % 5), Poller: fmt.Sprintf("p%d", step%3)})
		case 2:
			f.put(tenant, event.KindState, dev, event.TypeDeclared, at, event.Declared{Device: dev, Removed: true})
		case 3:
			f.put(tenant, event.KindState, dev, event.TypeInventory, at, event.Inventory{Device: dev, Name: []string{"core", "edge"}[step%2], Description: fmt.Sprint(step % 3)})
		case 4:
			f.put(tenant, event.KindState, dev.Interface("1"), event.TypeInterface, at, event.Interface{Device: dev, Index: "1"})
		case 5:
			f.put(tenant, event.KindEvent, dev, event.TypeInterfaceChanged, at, event.Changed{Device: dev, Message: "x"})
		default:
			f.put(tenant, event.KindState, dev, event.TypeReachability, at, event.Reachability{Device: dev, Status: statuses[step%3], Method: "ping", Message: fmt.Sprint(step % 4)})
		}
		if step%20 == 0 {
			for _, m := range mirrors {
				m.follow()
				m.check()
			}
		}
	}
	acme, globex := mirrors[1], mirrors[2]
	for _, m := range mirrors {
		m.follow()
		if n, again := m.follow(); n != 0 || again {
			t.Errorf("%+v: %d devices changed by themselves", m.req, n)
		}
	}
	before := globex.at
	f.state("r1", event.TypeReachability, time.Hour, event.Reachability{Device: "r1", Status: "down", Method: "ping", Message: "new"})
	if n, _ := acme.follow(); n != 1 {
		t.Errorf("%d devices have changed, want 1", n)
	}
	if n, _ := globex.follow(); n != 0 || globex.at != before {
		t.Errorf("a change of another tenant: %d, position %s, was %s", n, globex.at, before)
	}
	f.state("r1", event.TypeReachability, time.Hour+time.Second, event.Reachability{Device: "r1", Status: "down", Method: "ping", Message: "new"})
	f.put("acme", event.KindMetric, "r1", event.TypePing, time.Hour+time.Second, event.Ping{RTT: 1})
	if n, _ := acme.follow(); n != 0 {
		t.Errorf("%d devices have changed that were only seen", n)
	}

	for _, deleted := range []bool{true, false} {
		if err := s.PutTenant(ctx, "acme", store.Tenant{Name: "acme", Account: "A", Deleted: deleted}); err != nil {
			t.Fatal(err)
		}
		if n, again := globex.follow(); n != 0 || again || globex.at != before {
			t.Errorf("another tenant was deleted: %d, %v", n, again)
		}
		if _, again := acme.follow(); !again || len(acme.rows) != 0 {
			t.Errorf("a tenant that was deleted has %d devices", len(acme.rows))
		}
		mirrors[0].follow()
		mirrors[0].check()
	}
	for _, wrong := range []string{"x", acme.at + "0000", "other.1", "."} {
		if c := ok(s.DeviceChanges(ctx, api.ChangesRequest{Since: wrong}))(t); !c.Again {
			t.Errorf("since %q: %+v", wrong, c)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = e.Open(t, dir, store.Options{})
	globex.s = s
	if _, again := globex.follow(); !again {
		t.Error("a position of another run is taken")
	}
	globex.check()
}
