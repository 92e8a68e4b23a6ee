package sqlite

import (
	"context"
	"fmt"
	"testing"

	"midplane/event"
	"midplane/primary/store"
	"midplane/primary/store/storetest"
)

// BenchmarkFold measures events folded exactly once with synchronous=FULL, and
// beside it plain inserts into a table of the same shape in the same run.
func BenchmarkFold(b *testing.B) {
	for _, size := range []int{50, 500, 1000} {
		b.Run(fmt.Sprintf("fold/%d", size), func(b *testing.B) {
			w := openTest(b, b.TempDir(), store.Options{}).Writer
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				msgs := storetest.Events(n, size)
				b.StartTimer()
				r, err := w.Apply(context.Background(), "acme", msgs)
				if err != nil || r.Folded[event.KindEvent] != size || len(r.Findings) > 0 {
					b.Fatal(r, err)
				}
				n += size
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
	b.Run("plain/1000", func(b *testing.B) {
		w := openTest(b, b.TempDir(), store.Options{}).Writer
		ctx := context.Background()
		if _, err := w.conn.ExecContext(ctx, `CREATE TABLE plain (pos INTEGER PRIMARY KEY, tenant, site, device, entity, severity, type, id, time,
			received, producer, trace, stream_seq, data)`); err != nil {
			b.Fatal(err)
		}
		st, err := w.conn.PrepareContext(ctx, `INSERT INTO plain (tenant, site, device, entity, severity, type, id, time, received, producer, trace,
			stream_seq, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		n := 0
		for b.Loop() {
			b.StopTimer()
			msgs := storetest.Events(n, 1000)
			b.StartTimer()
			err := w.write(ctx, func(ctx context.Context) error {
				for i := range msgs {
					m := &msgs[i]
					if _, err := st.ExecContext(ctx, "acme", string(m.Site), string(m.Entity.Device()), string(m.Entity), m.Severity.Level(), string(m.Type),
						m.ID, m.Time.UnixNano(), m.Received.UnixNano(), string(m.Producer), m.TraceID(), int64(m.StreamSeq), []byte(m.Data)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			n += 1000
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkSites has 20,000 devices with a check each, a hundredth of it bad.
func BenchmarkSites(b *testing.B) {
	ctx := context.Background()
	db := openTest(b, b.TempDir(), store.Options{})
	err := db.Writer.write(ctx, func(ctx context.Context) error {
		for _, q := range []string{
			`INSERT INTO cursors VALUES ('acme', 'STATE', 1, 1, 1, 1)`,
			`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
				INSERT INTO devices (tenant, site, device, r_status) SELECT 'acme', 'syd', 'r' || i, iif(i % 100, 'up', 'down') FROM n`,
			`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
				INSERT INTO states SELECT 'acme', '` + string(event.TypeCheck) + `', 'syd', 'r' || i || '/check/web', 'r' || i, 'p', 0, 1, 1, i, 1, i, 1, 1, 1,
				CAST('{"device":"r","name":"web","status":"' || iif(i % 100, 'ok', 'critical') || '","collector":"http","message":"' || hex(zeroblob(80)) || '"}' AS BLOB) FROM n`,
		} {
			if _, err := db.Writer.conn.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := db.Reader.Sites(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
