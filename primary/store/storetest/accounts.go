package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// The loss ledger: what is missing is there until it comes, what comes twice is
// counted, and a deleted tenant has none. Pages and filters are those of every list.
func accounts(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	place := map[event.Tenant]uint64{}
	come := func(tenant event.Tenant, site event.Site, producer event.Producer, low uint64, seqs ...uint64) {
		t.Helper()
		var msgs []fold.Message
		for _, seq := range seqs {
			place[tenant]++
			msgs = append(msgs, fold.Message{Incarnation: 1, Event: event.Event{
				Kind: event.KindEvent, Severity: event.Info, Site: site, Entity: "r1", Type: "x.v1", Producer: producer, Epoch: 7, Sequence: seq, Low: min(low, seq-1), ID: fmt.Sprint(seq),
				Time: t0, Received: t0.Add(time.Duration(place[tenant]) * time.Second), Stream: event.StreamEvents, StreamSeq: place[tenant], Data: []byte(`{}`),
			}})
		}
		if _, err := s.Apply(ctx, tenant, msgs); err != nil {
			t.Fatal(err)
		}
	}
	list := func(req api.ListRequest) []api.Account {
		t.Helper()
		var out []api.Account
		for {
			page := ok(s.Accounts(ctx, req))(t)
			out = append(out, page.Items...)
			if req.After = page.Next; req.After == "" {
				return out
			}
		}
	}
	account := func(tenant, site, producer string, low, high uint64, missing [][2]uint64, doubled uint64) api.Account {
		return api.Account{ID: producer + "/7/EVENTS", Tenant: tenant, Site: site, Producer: producer, Epoch: 7, Stream: "EVENTS",
			Acknowledged: low, Received: high, Missing: missing, Duplicates: doubled}
	}
	none := [][2]uint64{}
	come("acme", "syd", "p1", 9, 1, 2, 2, 5, 9, 10)
	come("acme", "hq", "p2", 0, 1)
	come("globex", "syd", "p1", 2, 1, 2, 3)
	p1 := account("acme", "syd", "p1", 9, 10, [][2]uint64{{3, 4}, {6, 8}}, 1)
	p2, g := account("acme", "hq", "p2", 0, 1, none, 0), account("globex", "syd", "p1", 2, 3, none, 0)
	for _, x := range []struct {
		req  api.ListRequest
		want []api.Account
	}{
		{api.ListRequest{}, []api.Account{p2, p1, g}},
		{api.ListRequest{Limit: 1}, []api.Account{p2, p1, g}},
		{api.ListRequest{Tenant: "acme"}, []api.Account{p2, p1}},
		{api.ListRequest{Site: "syd"}, []api.Account{p1, g}},
		{api.ListRequest{Producer: "p1", Limit: 1}, []api.Account{p1, g}},
		{api.ListRequest{Name: "acme/syd/p1/7/EVENTS", Limit: 1}, []api.Account{p1}},
		{api.ListRequest{Tenant: "nobody"}, nil},
	} {
		if diff := cmp.Diff(x.want, list(x.req)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", x.req, diff)
		}
	}
	gap := []store.Gap{{Tenant: "acme", LedgerKey: fold.LedgerKey{Producer: "p1", Epoch: 7, Stream: "EVENTS"}, Missing: fold.Ranges{{From: 3, To: 4}, {From: 6, To: 8}}}}
	if diff := cmp.Diff(gap, ok(s.Gaps(ctx))(t)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	// It comes again: what was missing is not any more, and it is there once.
	come("acme", "syd", "p1", 0, 3, 4, 7, 7)
	if diff := cmp.Diff([]api.Account{account("acme", "syd", "p1", 9, 10, [][2]uint64{{6, 6}, {8, 8}}, 2)}, list(api.ListRequest{Tenant: "acme", Site: "syd"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	come("acme", "syd", "p1", 0, 8, 6)
	if left := ok(s.Gaps(ctx))(t); len(left) != 0 {
		t.Errorf("%+v is missing although it has come", left)
	}
	alarms := map[string]int{}
	for _, p := range ok(s.Unreported(ctx, 100))(t) {
		alarms[p.Alarm.Alarm]++
	}
	if diff := cmp.Diff(map[string]int{fold.AlarmGap: 2, fold.AlarmFilled: 1}, alarms); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
	if err := s.PutTenant(ctx, "acme", store.Tenant{Deleted: true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]api.Account{g}, list(api.ListRequest{})); diff != "" {
		t.Errorf("of a deleted tenant (-want +got):\n%s", diff)
	}
}
