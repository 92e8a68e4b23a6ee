package load_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testregistry"
	"midplane/platform/control/load"
	"midplane/platform/control/service"
	"midplane/platform/node"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// connector connects to the one server without an account: which role may ask is
// shown by the permission matrix.
type connector struct{ reg *testregistry.Node }

func (c connector) Connect(account.Keys, account.Role, string) (*nats.Conn, error) {
	return testregistry.Connect(c.reg), nil
}

type doors struct{}

func (doors) Load(event.Tenant) (api.TenantLoad, bool) { return api.TenantLoad{}, false }

type server struct{}

func (server) Streams(string) []node.Stream { return nil }

type connections struct{}

func (connections) Load(*registry.Tenant, *api.TenantLoad) {}

// TestEveryNodeIsAsked: each node that knows the question answers it; one of an
// older version, and one whose answer cannot be used, are named.
func TestEveryNodeIsAsked(t *testing.T) {
	reg := testregistry.Open(t)
	room := func(name string) *load.Room {
		r := load.New(load.Config{Node: name, Registry: reg.Registry, Dialer: connector{reg}, Doors: doors{}, Server: server{}, Connections: connections{}})
		t.Cleanup(r.Close)
		return r
	}
	serve := func(name string, h api.Handler) {
		nc := testregistry.Connect(reg)
		stop, err := service.Serve(t.Context(), nc, name, service.Doors{subject.DoorCore: {api.CoreLoad: h}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	n1 := room("n1")
	serve("n1", service.Handle(n1.Here))
	serve("n2", service.Handle(room("n2").Here))
	serve("n4", service.Handle(func(context.Context, string, struct{}) (any, error) { return nil, nil })) // answers, and gives no figures
	old := map[string]any{"name": "n3", "revision": 1, "closed": []string{}, "version": "0.1.0"}
	for name, says := range map[string]any{"n1": registry.Presence{Name: "n1"}, "n2": registry.Presence{Name: "n2"}, "n3": old, "n4": registry.Presence{Name: "n4"}} {
		reg.Say(registry.NodeKey(name), says)
	}
	loads, silent, err := n1.Everywhere(t.Context(), []event.Tenant{"acme"})
	if err != nil {
		t.Fatal(err)
	}
	var answered []string
	for _, l := range loads {
		answered = append(answered, l.Node)
		if l.Tenants == nil || len(l.Tenants) > 0 {
			t.Errorf("the tenant is declared nowhere, and %s has %v of it", l.Node, l.Tenants)
		}
	}
	slices.Sort(answered)
	slices.Sort(silent)
	if diff := cmp.Diff([][]string{{"n1", "n2"}, {"n3", "n4"}}, [][]string{answered, silent}); diff != "" {
		t.Errorf("answered, silent (-want +got):\n%s", diff)
	}
}
