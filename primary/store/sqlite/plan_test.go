package sqlite

import (
	"context"
	"strings"
	"testing"

	"midplane/api"
	"midplane/event"
	"midplane/primary/store"
)

// Each list is read by the key of its table, from where the page begins: no plan
// passes over all rows, and none looks for where to begin.
func TestListsUseTheKeys(t *testing.T) {
	ctx := context.Background()
	db := openTest(t, t.TempDir(), store.Options{})
	place := store.Place{Tenant: "acme", Site: "syd", ID: "r5"}
	for _, c := range []struct {
		req   api.ListRequest
		after store.Place
		plan  string // for devices
	}{
		{api.ListRequest{}, place, "((tenant,site,device)>(?,?,?))"},
		{api.ListRequest{Tenant: "acme"}, store.Place{}, "(tenant=?)"},
		{api.ListRequest{Tenant: "acme"}, place, "(tenant=? AND (site,device)>(?,?))"},
		{api.ListRequest{Tenant: "acme", Site: "syd"}, place, "(tenant=? AND site=? AND device>?)"},
		{api.ListRequest{Prefix: "acme/sy"}, store.Place{}, "(tenant=? AND site>? AND site<?)"},
		{api.ListRequest{Prefix: "acme/syd/r"}, store.Place{}, "(tenant=? AND site=? AND device>? AND device<?)"},
	} {
		w, _ := deviceColumns.span(c.req, c.after)
		wantPlan(ctx, t, db, deviceQuery+w.text+" ORDER BY tenant, site, device LIMIT 3", w.args, "SEARCH d USING PRIMARY KEY "+c.plan)
		own := c.req
		own.Tenant = "acme"
		w, _ = stateColumns.span(own, c.after)
		key := strings.NewReplacer("(tenant=?", "(tenant=? AND type=?", "(tenant,site,device)>(?,?,?)", "tenant=? AND type=? AND (site,entity)>(?,?)", "device", "entity").Replace(c.plan)
		wantPlan(ctx, t, db, stateQuery+w.text+" ORDER BY s.site, s.entity LIMIT 3", append([]any{string(event.TypeCheck)}, w.args...),
			"SEARCH s USING INDEX sqlite_autoindex_states_1 "+key)
	}
	among := deviceColumns.among([]store.Place{place})
	wantPlan(ctx, t, db, deviceQuery+among.text, among.args, "SEARCH d USING PRIMARY KEY (tenant=? AND site=? AND device=?)")
	among = stateColumns.among([]store.Place{place})
	wantPlan(ctx, t, db, stateQuery+among.text+" AND s.tenant = 'acme'", append([]any{string(event.TypeCheck)}, among.args...),
		"SEARCH s USING INDEX sqlite_autoindex_states_1 (tenant=? AND type=? AND site=? AND entity=?)")
	wantPlan(ctx, t, db, knownDevices, []any{"[]"}, "SEARCH d USING PRIMARY KEY (tenant=? AND site=? AND device=?)")
	wantPlan(ctx, t, db, knownStates, []any{"[]", "t"}, "SEARCH s USING COVERING INDEX sqlite_autoindex_states_1 (tenant=? AND type=? AND site=? AND entity=?)")
	wantPlan(ctx, t, db, devicePlaces, []any{""}, "SEARCH d USING PRIMARY KEY (tenant=? AND site>?)")
	wantPlan(ctx, t, db, statePlaces, []any{"", "t"}, "SEARCH s USING COVERING INDEX sqlite_autoindex_states_1 (tenant=? AND type=? AND site>?)")
}

// wantPlan wants a step in the plan of a query, and none that scans a large table
// or sorts.
func wantPlan(ctx context.Context, t *testing.T, db *DB, query string, args []any, step string) {
	t.Helper()
	rows, err := db.reads.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%v in %s", err, query)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
		if strings.HasPrefix(detail, "SCAN d") || strings.HasPrefix(detail, "SCAN s ") || strings.Contains(detail, "ORDER BY") {
			t.Errorf("%s\nin the plan of %s", detail, query)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(plan, "\n"); !strings.Contains(text, step+"\n") && !strings.HasSuffix(text, step) {
		t.Errorf("no %q in the plan of %s\n%s", step, query, text)
	}
}
