package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"midplane/primary/store"
	"midplane/primary/store/storetest"
)

func TestExam(t *testing.T) {
	storetest.Run(t, storetest.Exam{
		Open: func(t *testing.T, dir string, opts store.Options) storetest.Store {
			t.Helper()
			db, err := Open(context.Background(), dir, opts)
			if err != nil {
				t.Fatal(err)
			}
			return storetest.Store{Writer: db.Writer, Reader: db.Reader, Close: db.Close}
		},
		Dump: dump,
	})
}

// dump is everything in the database but rows about transactions.
func dump(t *testing.T, dir string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "primary.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var b strings.Builder
	for _, q := range []string{
		"SELECT * FROM cursors ORDER BY 1, 2", "SELECT * FROM ledgers ORDER BY 1, 2, 3, 4", "SELECT * FROM ledger_notes", "SELECT * FROM states ORDER BY 1, 2, 3, 4",
		"SELECT * FROM devices ORDER BY 1, 2, 3", "SELECT * FROM events ORDER BY pos", "SELECT * FROM alarms",
		"SELECT site, entity, type, p.time, \"values\" FROM series JOIN (SELECT series, time, \"values\" FROM samples UNION ALL SELECT n.series, r.time, \"values\" FROM recent r JOIN newest n ON n.id = r.chain) p ON id = p.series ORDER BY 1, 2, 3, 4",
		"SELECT site, entity, type, time FROM series x JOIN newest ON x.id = series ORDER BY 1, 2, 3",
	} {
		rows, err := db.QueryContext(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(q + "\n")
		writeRows(t, &b, rows)
	}
	return b.String()
}

func writeRows(t *testing.T, b *strings.Builder, rows *sql.Rows) {
	t.Helper()
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, into := make([]any, len(cols)), make([]any, len(cols))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(b, "%q\n", values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
