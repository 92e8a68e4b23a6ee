package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"midplane/api"
	"midplane/console"
	"midplane/console/access"
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/query"
	"midplane/primary/store"
	"midplane/primary/store/sqlite"
	"midplane/telemetry"
)

// The world of the benchmark reads: one device in readsPart has readsInterfaces.
const (
	readsTenants    = 5
	readsPollers    = 10
	readsPart       = 10
	readsInterfaces = 10
)

func readsTenant(n int) string { return fmt.Sprintf("tenant-%d", n) }
func readsDevice(n int) string { return fmt.Sprintf("r%05d", n) }
func readsSite(n int) string   { return []string{"mel", "syd"}[n/readsTenants%2] }

// readsWorld is the database of a primary with what answers from it.
type readsWorld struct {
	devices      int
	db           *sqlite.DB
	query        *query.Service
	page         http.Handler
	token        string
	seq          [readsTenants]uint64 // of each tenant's STATE
	at           time.Time
	made, opened time.Duration
}

func newReadsWorld(ctx context.Context, dir string, devices int) (*readsWorld, error) {
	w := &readsWorld{devices: devices, at: time.Now().Add(-time.Hour)}
	db, err := sqlite.Open(ctx, dir, store.Options{})
	if err != nil {
		return nil, err
	}
	w.db = db
	began := time.Now()
	for tenant := range readsTenants {
		var batch []fold.Message
		for n := tenant; n < devices; n += readsTenants {
			batch = append(batch, w.device(tenant, n)...)
			if len(batch) > store.MaxBatch-20 || n+readsTenants >= devices {
				if _, err := w.db.Writer.Apply(ctx, event.Tenant(readsTenant(tenant)), batch); err != nil {
					return nil, err
				}
				batch = nil
			}
		}
	}
	for tenant := range readsTenants {
		if _, err := w.db.Writer.Apply(ctx, event.Tenant(readsTenant(tenant)), pollerEvents(0, foldBatch)); err != nil {
			return nil, err
		}
	}
	w.made = time.Since(began)
	if err := w.reopen(ctx, dir); err != nil {
		return nil, err
	}
	w.query = query.New(query.Config{Name: "bench"}, w.db.Reader, w)
	users, err := access.Open(access.Folder(dir))
	if err != nil {
		return nil, err
	}
	if w.token, _, err = users.CreateToken("bench", access.Viewer, "", access.TokenLife); err != nil {
		return nil, err
	}
	cons, err := console.New(console.Config{Access: access.NewKeeper(users, access.Config{})}, w, telemetry.Nop())
	if err != nil {
		return nil, err
	}
	w.page = cons.Handler()
	return w, nil
}

// device makes the states of one device: what is declared, whether it answers, what
// it is, a check, and interfaces of some.
func (w *readsWorld) device(tenant, n int) []fold.Message {
	id := event.Entity(readsDevice(n))
	status, check := event.StatusUp, event.CheckOK
	if n%100 == 7 {
		status = event.StatusDown
	}
	if n%100 == 9 {
		check = event.CheckCritical
	}
	poller := fmt.Sprintf("p%d", n%readsPollers)
	out := []fold.Message{
		w.state(tenant, n, id, event.TypeDeclared, event.Declared{Device: id, Address: fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255), Poller: poller}),
		w.state(tenant, n, id, event.TypeReachability, event.Reachability{Device: id, Status: status, Method: "ping", Message: "answers"}),
		w.state(tenant, n, id, event.TypeInventory, event.Inventory{Device: id, Name: fmt.Sprintf("core %05d", n), Description: "a router of the bench, with a description of a usual length"}),
		w.state(tenant, n, id.Check("web"), event.TypeCheck, event.Check{Device: id, Name: "web", Collector: "http", Status: check, Target: "http://" + readsDevice(n)}),
	}
	for i := 0; i < readsInterfaces && n/readsTenants%readsPart == 0; i++ {
		index := fmt.Sprint(i + 1)
		out = append(out, w.state(tenant, n, id.Interface(index), event.TypeInterface, event.Interface{Device: id, Index: index, Name: "eth" + index, AdminStatus: "up", OperStatus: "up", Speed: 1e9}))
	}
	return out
}

func (w *readsWorld) state(tenant, n int, entity event.Entity, typ event.Type, payload any) fold.Message {
	data, _ := json.Marshal(payload) // types of the catalogue
	w.seq[tenant]++
	w.at = w.at.Add(time.Microsecond)
	return fold.Message{Incarnation: 1, Event: event.Event{
		Kind: event.KindState, Site: event.Site(readsSite(n)), Entity: entity, Type: typ, Producer: event.Producer(fmt.Sprintf("p%d", n%readsPollers)),
		Data: data, Time: w.at, Received: w.at, Stream: event.StreamState, StreamSeq: w.seq[tenant],
	}}
}

// change gives n devices of a tenant another status.
func (w *readsWorld) change(ctx context.Context, round, n int) error {
	tenant := round % readsTenants
	var batch []fold.Message
	for i := range n {
		at := (round*n*3+i*readsTenants)/readsTenants*readsTenants%w.devices + tenant
		id := event.Entity(readsDevice(at))
		batch = append(batch, w.state(tenant, at, id, event.TypeReachability, event.Reachability{Device: id, Status: event.StatusDown, Method: "ping", Message: fmt.Sprintf("round %d", round)}))
	}
	_, err := w.db.Writer.Apply(ctx, event.Tenant(readsTenant(tenant)), batch)
	return err
}

// Reports implements query.Reading.
func (w *readsWorld) Reports() (out []api.TenantReport) {
	for n := range readsTenants {
		out = append(out, api.TenantReport{Tenant: readsTenant(n), Reading: true})
	}
	return out
}

// Line implements query.Reading.
func (w *readsWorld) Line(event.Tenant, string) string { return "" }

// Admin implements console.Source: the control plane is not measured.
func (w *readsWorld) Admin(context.Context, string, any, any) error { return nil }

// Query implements console.Source.
func (w *readsWorld) Query(ctx context.Context, verb string, req, resp any) error {
	return w.query.Do(ctx, verb, req, resp)
}
