package sqlite

import (
	"context"
	"strings"
	"testing"

	"midplane/api"
	"midplane/event"
	"midplane/primary/store"
)

// Each list is read by the key of its table, from where the page begins or at the
// places that are known: no plan passes over all rows, and none looks for where to
// begin.
func TestListsUseTheKeys(t *testing.T) {
	ctx := context.Background()
	db := openTest(t, t.TempDir(), store.Options{})
	place := store.Place{Tenant: "acme", Site: "syd", ID: "r5"}
	for _, c := range []struct {
		req   api.ListRequest
		after store.Place
		plan  string
	}{
		{api.ListRequest{}, place, "(tenant=? AND type=? AND (site,entity)>(?,?))"},
		{api.ListRequest{}, store.Place{}, "(tenant=? AND type=?)"},
		{api.ListRequest{Site: "syd"}, place, "(tenant=? AND type=? AND site=? AND entity>?)"},
		{api.ListRequest{Prefix: "acme/sy"}, store.Place{}, "(tenant=? AND type=? AND site>? AND site<?)"},
		{api.ListRequest{Prefix: "acme/syd/r"}, store.Place{}, "(tenant=? AND type=? AND site=? AND entity>? AND entity<?)"},
	} {
		c.req.Tenant = "acme"
		w, _ := stateKey.span(c.req, c.after)
		for _, columns := range []string{stateColumnsFull, stateColumnsSmall} {
			wantPlan(ctx, t, db, columns+statesFrom+w.text+" ORDER BY s.site, s.entity LIMIT 3", append([]any{string(event.TypeCheck)}, w.args...),
				"SEARCH s USING INDEX sqlite_autoindex_states_1 "+c.plan)
		}
	}
	wantPlan(ctx, t, db, deviceQuery, []any{"[]"}, "SEARCH d USING PRIMARY KEY (tenant=? AND site=? AND device=?)")
	wantPlan(ctx, t, db, stateColumnsFull+statesAt, []any{"[]", "t"}, "SEARCH s USING INDEX sqlite_autoindex_states_1 (tenant=? AND type=? AND site=? AND entity=?)")
	wantPlan(ctx, t, db, knownStates, []any{"[]", "t"}, "SEARCH s USING COVERING INDEX sqlite_autoindex_states_1 (tenant=? AND type=? AND site=? AND entity=?)")
	wantPlan(ctx, t, db, statePlaces, []any{"", "t"}, "SEARCH s USING COVERING INDEX sqlite_autoindex_states_1 (tenant=? AND type=? AND site>?)")
	// Of samples only those of the device, and of the newest of them, are read.
	wantPlan(ctx, t, db, "SELECT * FROM ("+strings.TrimSuffix(seriesQuery, seriesOrder)+")", []any{"acme", "syd", "r5"}, "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)")
	for _, step := range []string{"SEARCH r USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH n USING INDEX sqlite_autoindex_newest_1 (series=?)", "SEARCH p USING PRIMARY KEY (series=?)"} {
		wantPlan(ctx, t, db, stateColumnsFull+statesAt, []any{"[]", "t"}, step)
	}
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
		if strings.HasPrefix(detail, "SCAN d") || strings.HasPrefix(detail, "SCAN s ") || strings.HasPrefix(detail, "SCAN r") || strings.HasPrefix(detail, "SCAN n") || strings.Contains(detail, "ORDER BY") {
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
