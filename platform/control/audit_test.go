package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/platform/control"
)

// acts returns the records of one verb about one target, oldest first.
func acts(t *testing.T, c *testcluster.Cluster, verb, target string) (out []api.AuditRecord) {
	t.Helper()
	var page api.Page[api.AuditRecord]
	for after := ""; ; after = page.Next {
		page = ask[api.Page[api.AuditRecord]](t, c, api.AuditList, api.AuditRequest{After: after, Limit: api.MaxPage})
		for _, r := range page.Items {
			if r.Verb == verb && r.Target == target {
				out = append(out, r)
			}
		}
		if page.Next == "" {
			return out
		}
	}
}

// TestActIsRecorded: who, what, from where and what came of it, before and after.
func TestActIsRecorded(t *testing.T) {
	c := cluster(t)
	wantKind(t, "forget a primary that is not there", do(t, c, api.PrimaryDrop, api.PrimaryRef{Primary: "absent-primary"}, nil), fault.NotFound)
	got := acts(t, c, api.PrimaryDrop, "absent-primary")
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	before, after := got[0], got[1]
	if before.Result != api.AuditBegun || after.Result != string(fault.NotFound) || before.ID != after.ID || before.Seq >= after.Seq {
		t.Errorf("%+v\n%+v", before, after)
	}
	for _, r := range got {
		if r.Who != testcluster.Admin || r.Via != "" || !strings.HasPrefix(r.From, "127.0.0.1:") || !strings.Contains(r.From, " via n") || r.Time.IsZero() || r.Node == "" {
			t.Errorf("%+v", r)
		}
	}
	if !strings.Contains(after.Detail, "absent-primary") {
		t.Errorf("detail %q", after.Detail)
	}
	newest := ask[api.Page[api.AuditRecord]](t, c, api.AuditList, api.AuditRequest{Newest: true, Limit: 500}).Items
	shown := slices.DeleteFunc(newest, func(r api.AuditRecord) bool { return r.ID != after.ID })
	if len(shown) != 1 || shown[0].Result != after.Result {
		t.Errorf("shown once, with its result: %+v", shown)
	}
}

// TestReadsAreNotRecorded: looking changes nothing.
func TestReadsAreNotRecorded(t *testing.T) {
	c := cluster(t)
	ask[api.ClusterStatus](t, c, api.NodeStatus, struct{}{})
	ask[api.Page[api.Tenant]](t, c, api.TenantList, api.ListRequest{})
	for _, r := range ask[api.Page[api.AuditRecord]](t, c, api.AuditList, api.AuditRequest{Limit: api.MaxPage}).Items {
		if api.Reads(r.Verb) {
			t.Errorf("%+v", r)
		}
	}
}

// TestConsoleReports: what a console tells is stored under its own name.
func TestConsoleReports(t *testing.T) {
	c := cluster(t)
	k := core(t, c)
	act := api.AuditAct{ID: "login-1", Who: "ann", From: "192.0.2.7:5000", Verb: "console.user.login", Target: "ann-at-the-console", Result: api.AuditOK}
	for range 2 { // reported twice it is there once
		if err := k.Do(testContext(t), api.AuditReport, act, nil); err != nil {
			t.Fatal(err)
		}
	}
	got := acts(t, c, act.Verb, act.Target)
	if len(got) != 1 || got[0].Who != "ann" || got[0].Via != testcluster.Primary || got[0].From != act.From {
		t.Errorf("%+v", got)
	}
	for _, verb := range []string{"tenant.delete", "console", "console.a.b.c.d", "console.A", "console.*", "console.a>"} {
		act.Verb = verb
		wantKind(t, fmt.Sprintf("verb %q", verb), k.Do(testContext(t), api.AuditReport, act, nil), fault.Invalid)
	}
}

// TestFollowAudit: an act shows while it is waited for.
func TestFollowAudit(t *testing.T) {
	c := cluster(t)
	type answer struct {
		page api.Page[api.AuditRecord]
		err  error
	}
	answered := make(chan answer, 1)
	first := ask[api.Page[api.AuditRecord]](t, c, api.AuditList, api.AuditRequest{Newest: true, Limit: 1}).Items
	after := "0"
	if len(first) > 0 {
		after = fmt.Sprint(first[0].Seq)
	}
	go func() {
		var a answer
		a.err = c.Admin.Do(testContext(t), api.AuditFollow, api.AuditRequest{After: after, Who: "bob"}, &a.page)
		answered <- a
	}()
	if err := core(t, c).Do(testContext(t), api.AuditReport, api.AuditAct{Who: "bob", Verb: "console.user.logout", Target: "followed", Result: api.AuditOK}, nil); err != nil {
		t.Fatal(err)
	}
	a := <-answered
	if a.err != nil || len(a.page.Items) != 1 || a.page.Items[0].Target != "followed" {
		t.Errorf("%+v %v", a.page, a.err)
	}
}

// TestEveryVerbIsRecorded: what changes something leaves a record, also
// when it is refused, and no body gets into the log.
func TestEveryVerbIsRecorded(t *testing.T) {
	c := cluster(t)
	const secret = "do-not-write-me-down"
	changing := 0
	for _, verb := range control.AdminVerbs() {
		if api.Reads(verb) || verb == api.AuditReport {
			continue
		}
		changing++
		target := "probe-" + strings.ReplaceAll(verb, ".", "-")
		err := do(t, c, verb, map[string]any{"name": target, "tenant": "missing", "role": "none", "password": secret, "token": secret, "seed": secret, "spec": map[string]string{"contact": secret}}, nil)
		want := string(fault.KindOf(err))
		if err == nil { // one that asks for nothing passes over all fields
			want = api.AuditOK
		}
		got := acts(t, c, verb, target)
		if len(got) != 2 || got[0].Result != api.AuditBegun || got[1].Result != want || got[1].Who != testcluster.Admin || got[1].Tenant != "missing" {
			t.Errorf("%s: %v; %+v", verb, err, got)
		}
		for _, r := range got {
			if strings.Contains(fmt.Sprintf("%+v", r), secret) {
				t.Errorf("%s: %+v", verb, r)
			}
		}
	}
	if changing < 4 {
		t.Errorf("%d verbs change something", changing)
	}
}

// TestAuditFilters: by tenant, by who, by age, and page by page.
func TestAuditFilters(t *testing.T) {
	c := cluster(t)
	k := core(t, c)
	for i := range 12 {
		act := api.AuditAct{Who: fmt.Sprintf("filter-%d", i%2), Verb: "console.user.login", Target: fmt.Sprintf("filtered-%d", i), Tenant: fmt.Sprintf("filtered-%d", i%3), Result: api.AuditOK}
		if err := k.Do(testContext(t), api.AuditReport, act, nil); err != nil {
			t.Fatal(err)
		}
	}
	list := func(req api.AuditRequest) (out []string) {
		for {
			page := ask[api.Page[api.AuditRecord]](t, c, api.AuditList, req)
			for _, r := range page.Items {
				if strings.HasPrefix(r.Target, "filtered-") {
					out = append(out, strings.TrimPrefix(r.Target, "filtered-"))
				}
			}
			if req.After = page.Next; page.Next == "" {
				return out
			}
		}
	}
	future := time.Now().Add(time.Hour)
	for _, x := range []struct {
		req  api.AuditRequest
		want string
	}{
		{api.AuditRequest{Tenant: "filtered-1"}, "[1 4 7 10]"},
		{api.AuditRequest{Who: "filter-0"}, "[0 2 4 6 8 10]"},
		{api.AuditRequest{Who: "filter-0", Tenant: "filtered-0"}, "[0 6]"},
		{api.AuditRequest{Who: "filter-0", Limit: 2}, "[0 2 4 6 8 10]"},
		{api.AuditRequest{Who: "filter-0", Newest: true, Limit: 2}, "[8 10]"},
		{api.AuditRequest{Tenant: "filtered-2", Newest: true, Limit: 100}, "[2 5 8 11]"},
		{api.AuditRequest{Who: "filter-0", Since: &future}, "[]"},
		{api.AuditRequest{Who: "filter-0", Since: &future, Newest: true, Limit: 10}, "[]"},
	} {
		if got := fmt.Sprint(list(x.req)); got != x.want {
			t.Errorf("%+v: %s, want %s", x.req, got, x.want)
		}
	}
	for _, req := range []api.AuditRequest{{Limit: -1}, {Limit: api.MaxPage + 1}, {After: "x"}} {
		wantKind(t, fmt.Sprintf("%+v", req), do(t, c, api.AuditList, req, nil), fault.Invalid)
	}
}
