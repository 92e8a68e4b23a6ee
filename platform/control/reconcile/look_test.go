package reconcile

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/platform/registry"
)

type fakeChanges struct {
	keys []string
	all  bool
}

func (f *fakeChanges) Since(uint64) ([]string, uint64, bool) {
	keys, all := f.keys, f.all
	f.keys, f.all = nil, false
	return keys, 1, all
}

// What changes for one tenant is looked at for one tenant.
func TestLookAtWhatChanged(t *testing.T) {
	status := &fakeChanges{}
	view := &registry.View{Revision: 7, Tenants: map[event.Tenant]*registry.Tenant{"a": {}, "b": {}, "c": {}}}
	nodes := []registry.Presence{{Name: "n1", Revision: 7}, {Name: "n2", Revision: 7}}
	now := time.Unix(1_000_000, 0)
	var k look
	ended := map[event.Tenant]bool{}
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"the first look", func() {}, "a b c"},
		{"nothing", func() {}, ""},
		{"a tenant's status and another's cursor", func() { status.keys = []string{"cursor.b.p1", "tenant.a"} }, "a b"},
		{"reports of pollers, nodes and primaries", func() {
			status.keys = []string{"lease", "node.n1", "poller.a.syd-01", "primary.p1", "understands.p1"}
		}, ""},
		{"work on one has ended", func() { ended["c"] = true }, "c"},
		{"the nodes as they were", func() { nodes = slices.Clone(nodes) }, ""},
		{"a node has loaded another revision", func() { nodes = []registry.Presence{{Name: "n1", Revision: 8}, {Name: "n2", Revision: 7}} }, "a b c"},
		{"a door is closed", func() {
			nodes = []registry.Presence{{Name: "n1", Revision: 8, Closed: []string{"b"}}, {Name: "n2", Revision: 7}}
		}, "a b c"},
		{"a node is gone", func() { nodes = nodes[:1] }, "a b c"},
		{"the registry", func() { view.Revision = 8 }, "a b c"},
		{"more than is remembered", func() { status.all = true }, "a b c"},
		{"after a second", func() { now = now.Add(lookEvery) }, ""},
		{"after a few", func() { now = now.Add(lookAllEvery) }, "a b c"},
		{"and nothing since", func() { now = now.Add(lookEvery / 2) }, ""},
	} {
		step.do()
		got := k.at(status, view, nodes, ended, now)
		var ids []string
		for id := range maps.Keys(got) {
			ids = append(ids, string(id))
		}
		slices.Sort(ids)
		if s := strings.Join(ids, " "); s != step.want {
			t.Errorf("%s: %q, want %q", step.what, s, step.want)
		}
		ended = map[event.Tenant]bool{}
	}
}
