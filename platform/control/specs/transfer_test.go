package specs

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testregistry"
	"midplane/platform/registry"
	"midplane/tenants"
	"midplane/tenants/account"
	"midplane/tenants/transfer"
)

// asker asks the room as a command does, through JSON that must fit into messages.
type asker struct {
	t     *testing.T
	node  *testregistry.Node
	specs *Specs
	sent  map[string]int // parts sent or answered, by verb
}

func call[Req any](a *asker, f func(context.Context, string, Req) (any, error), body []byte) (any, error) {
	var req Req
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	if err := a.node.Fresh(a.node.Ctx); err != nil {
		return nil, err
	}
	return f(a.node.Ctx, "admin", req)
}

func (a *asker) ask(_ context.Context, verb string, req, resp any) error {
	a.t.Helper()
	body := a.message(verb, req)
	var answer any
	var err error
	switch verb {
	case api.TenantSpec:
		answer, err = call(a, a.specs.Get, body)
	case api.TenantPut:
		answer, err = call(a, a.specs.Put, body)
	case api.TenantCheck:
		answer, err = call(a, a.specs.Check, body)
	case api.TenantParts:
		answer, err = call(a, a.specs.Parts, body)
		if got, ok := answer.(api.PartsAnswer); ok {
			a.sent[verb] += len(got.Parts)
		}
	case api.TenantUpload:
		answer, err = call(a, a.specs.Upload, body)
		a.sent[verb] += len(req.(api.Upload).Parts)
	}
	if err != nil || resp == nil {
		return err
	}
	return json.Unmarshal(a.message(verb, answer), resp)
}

func (a *asker) message(verb string, v any) []byte {
	a.t.Helper()
	data, err := json.Marshal(v)
	if err != nil || len(data) > account.MaxPayload {
		a.t.Fatalf("%s: a message of %d bytes, %v", verb, len(data), err)
	}
	return data
}

func newAsker(t *testing.T) *asker {
	node := testregistry.Open(t)
	return &asker{t: t, node: node, specs: &Specs{Registry: node.Registry}, sent: map[string]int{}}
}

// A spec that is larger than a message is stored, read, checked and changed, and of a
// change only the part that differs travels.
func TestALargeSpecTravelsInParts(t *testing.T) {
	a := newAsker(t)
	ctx := a.node.Ctx
	large := func() *tenants.Spec { return devices(t, 10_000, "192.0.2.1") }
	spec := large()
	if _, err := transfer.Put(ctx, a.ask, spec, transfer.Stored{}, false); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.HintOf(err), "upgrade status") {
		t.Fatalf("stored before the upgrade was ended: %v", err)
	}
	if _, err := a.node.Levels.Put(ctx, registry.Level{Understands: api.Understands{Formats: api.CurrentFormats()}}, 0); err != nil {
		t.Fatal(err)
	}
	steps, err := transfer.Check(ctx, a.ask, spec, transfer.Stored{}, false)
	if err != nil || len(steps) != len(tenants.Plan(nil, spec)) {
		t.Fatalf("%d steps, want %d: %v", len(steps), len(tenants.Plan(nil, spec)), err)
	}
	if _, err := transfer.Get(ctx, a.ask, "acme", nil); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a check stored the tenant: %v", err)
	}
	rev, err := transfer.Put(ctx, a.ask, spec, transfer.Stored{}, false)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := transfer.Get(ctx, a.ask, "acme", nil)
	if err != nil || stored.Revision != rev || stored.Newer != nil || len(tenants.Plan(stored.Spec, spec)) > 0 {
		t.Fatalf("revision %d, want %d, %v, %v", stored.Revision, rev, stored.Newer, err)
	}

	clear(a.sent)
	changed := large()
	changed.Sites[0].Devices[5000].Address = "192.0.2.2"
	was, err := transfer.Get(ctx, a.ask, "acme", changed)
	if err != nil || len(tenants.Plan(was.Spec, changed)) != 1 {
		t.Fatalf("%d steps: %v", len(tenants.Plan(was.Spec, changed)), err)
	}
	if _, err = transfer.Put(ctx, a.ask, changed, was, false); err != nil {
		t.Fatal(err)
	}
	if a.sent[api.TenantParts] != 1 || a.sent[api.TenantUpload] != 1 {
		t.Errorf("for one device: %v", a.sent)
	}
	if _, err = transfer.Put(ctx, a.ask, spec, was, false); !fault.Is(err, fault.Conflict) {
		t.Errorf("from an old revision: %v", err)
	}
	// A command that reads no parts hears why it is given nothing.
	if err := a.ask(ctx, api.TenantSpec, api.TenantRef{Tenant: "acme"}, &api.SpecAnswer{}); !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
		t.Errorf("an older command: %v", err)
	}
}

// An older command is given a spec in parts whole when that fits, and may store one.
func TestOlderCommandsAndSpecsInParts(t *testing.T) {
	a := newAsker(t)
	ctx := a.node.Ctx
	if _, err := a.node.Levels.Put(ctx, registry.Level{Understands: api.Understands{Formats: api.CurrentFormats()}}, 0); err != nil {
		t.Fatal(err)
	}
	data, err := devices(t, 2000, "192.0.2.1").JSON()
	if err != nil {
		t.Fatal(err)
	}
	var now api.TenantRevision
	if err := a.ask(ctx, api.TenantPut, api.PutTenant{Spec: data}, &now); err != nil {
		t.Fatal(err)
	}
	var answer api.SpecAnswer
	if err := a.ask(ctx, api.TenantSpec, api.TenantRef{Tenant: "acme"}, &answer); err != nil || answer.Revision != now.Revision {
		t.Fatal(err)
	}
	got, err := tenants.ParseJSON(answer.Spec)
	if err != nil || len(got.Sites[0].Devices) != 2000 {
		t.Fatal(err)
	}
	if stored, _ := a.node.Specs.Stored("acme"); !tenants.Divided(stored) {
		t.Error("the spec is one value")
	}
}

// A head whose parts are not there, or that say something else, is refused whole.
func TestAHeadIsCheckedWithItsParts(t *testing.T) {
	a := newAsker(t)
	ctx := a.node.Ctx
	if _, err := a.node.Levels.Put(ctx, registry.Level{Understands: api.Understands{Formats: api.CurrentFormats()}}, 0); err != nil {
		t.Fatal(err)
	}
	spec := devices(t, 2000, "192.0.2.1")
	split, err := spec.Split()
	if err != nil {
		t.Fatal(err)
	}
	head, err := split.Head.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.ask(ctx, api.TenantPut, api.PutTenant{Spec: head}, nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("without its parts: %v", err)
	}
	for _, bad := range []string{`{"site":"syd","devices":[{"id":"r1","address":"not an address"}]}`, `{"site":"syd","devices":[{"id":"r1","address":"192.0.2.1","rack":1}]}`} {
		if err := a.ask(ctx, api.TenantUpload, api.Upload{Tenant: "acme", Parts: []json.RawMessage{json.RawMessage(bad)}}, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	spec.Sites[0].Devices[7].Poller = "mel-01" // what only the whole can tell
	if _, err := transfer.Put(ctx, a.ask, spec, transfer.Stored{}, false); err == nil || !strings.Contains(err.Error(), "is not one of site") {
		t.Errorf("a device of another site's poller: %v", err)
	}
	if a.node.View().Tenants["acme"] != nil {
		t.Error("what was refused changed the registry's view")
	}
}
