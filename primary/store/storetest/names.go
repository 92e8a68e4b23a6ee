package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// namesOf are ids as people may choose them: with slashes, and such that one
// name can stand for several things.
var namesOf = map[string][]event.Entity{
	"acme/syd": {"r1", "r10", "r1-b", "lab/r1", "über"}, "acme/lab": {"r1", "r2"}, "acme/_": {"r1"}, "syd/lab": {"r1"}, "globex/syd": {"r1", "acme"},
}

// A list can be asked for one name, and for the names with one beginning. The
// answer is what looking through the whole list would find, page by page.
func names(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	seq := map[string]uint64{}
	put := func(tenant, site string, entity event.Entity, typ event.Type) {
		t.Helper()
		seq[tenant]++
		m := fold.Message{Incarnation: 1, Event: event.Event{Kind: event.KindState, Site: event.Site(site), Entity: entity, Type: typ, Producer: "p1",
			Data: []byte(`{"status":"up"}`), Time: t0, Received: t0, Stream: event.StreamState, StreamSeq: seq[tenant]}}
		if _, err := s.Apply(ctx, event.Tenant(tenant), []fold.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	for place, ids := range namesOf {
		tenant, site, _ := strings.Cut(place, "/")
		for _, id := range ids {
			put(tenant, site, id, event.TypeReachability)
			put(tenant, site, id.Check("web"), event.TypeCheck)
		}
	}
	deviceKey := func(d api.Device) api.Key { return api.Key{Tenant: d.Tenant, Site: d.Site, ID: d.ID} }
	checkKey := func(c api.Check) api.Key { return api.Key{Tenant: c.Tenant, Site: c.Site, ID: c.ID} }
	for _, name := range []string{"", "r1", "syd/r1", "acme/r1", "acme/syd/r1", "lab/r1", "syd/lab/r1", "acme/lab/r1", "acme", "r", "r2", "globex/acme", "_/r1",
		"über", "none", "acme/none/r1", "acme/", "acme/s", "acme/syd/", "acme/syd/r1", "g", "syd", "acme/lab", "acme/syd/lab/", "acme/syd/\xc3\xbc", "%", "r_"} {
		for _, narrow := range []api.ListRequest{{}, {Tenant: "acme"}, {Site: "lab"}, {Tenant: "acme", Site: "syd"}, {Tenant: "other"}} {
			for _, suffix := range []string{"", "/check/web"} {
				byName, byPrefix := narrow, narrow
				byName.Name, byPrefix.Prefix = name+suffix, name
				if suffix == "" {
					same(t, s.Devices, byName, deviceKey)
					same(t, s.Devices, byPrefix, deviceKey)
				} else {
					same(t, s.Checks, byName, checkKey)
					same(t, s.Checks, byPrefix, checkKey)
				}
			}
		}
	}
}

// same compares the pages of a narrow list with the whole list looked through.
func same[T any](t *testing.T, list func(ctx context.Context, req api.ListRequest) (api.Page[T], error), req api.ListRequest, key func(T) api.Key) {
	t.Helper()
	var want, got []string
	for _, row := range ok(list(ctx, api.ListRequest{Limit: api.MaxPage}))(t).Items {
		k := key(row)
		if (req.Tenant == "" || k.Tenant == req.Tenant) && (req.Site == "" || k.Site == req.Site) && (req.Name == "" || k.Named(req.Name)) &&
			strings.HasPrefix(k.Full(false), req.Prefix) {
			want = append(want, k.Full(false))
		}
	}
	for page := req; ; {
		page.Limit = 2
		answer := ok(list(ctx, page))(t)
		for _, row := range answer.Items {
			got = append(got, key(row).Full(false))
		}
		if page.After = answer.Next; answer.Next == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || !slices.IsSorted(got) && req.Tenant != "" && req.Site != "" {
		t.Errorf("%+v (-want +got):\n%s", req, diff)
	}
}
