package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// pings applies metrics of devices as one batch, each with a value.
type pings struct {
	t      testing.TB
	w      *Writer
	tenant event.Tenant
	seq    uint64
}

func (p *pings) put(at time.Time, devices ...event.Entity) {
	p.t.Helper()
	var msgs []fold.Message
	for _, device := range devices {
		p.seq++
		data, err := json.Marshal(event.Ping{RTT: float64(p.seq)})
		if err != nil {
			p.t.Fatal(err)
		}
		msgs = append(msgs, fold.Message{Incarnation: 1, Event: event.Event{Kind: event.KindMetric, Site: "syd", Entity: device, Type: event.TypePing,
			Producer: "p1", Data: data, Time: at, Received: at, Stream: event.StreamMetrics, StreamSeq: p.seq}})
	}
	if _, err := p.w.Apply(context.Background(), p.tenant, msgs); err != nil {
		p.t.Fatal(err)
	}
}

func count(t testing.TB, db *DB, from string) (n int) {
	t.Helper()
	if err := db.reads.QueryRowContext(context.Background(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// While series go on, what is kept of them is bounded and none of it is moved; those
// that end are moved once; what is gone leaves nothing behind.
func TestRecentIsBounded(t *testing.T) {
	now := t0
	db := openTest(t, t.TempDir(), store.Options{EventDays: 1, Now: func() time.Time { return now }})
	f := &pings{t: t, w: db.Writer, tenant: "acme"}
	var devices []event.Entity
	for n := range 10 {
		devices = append(devices, event.Entity(fmt.Sprint("r", n)))
	}
	for minute := range 200 {
		now = t0.Add(time.Duration(minute) * time.Minute)
		f.put(now, devices[:5]...)
		now = now.Add(30 * time.Second)
		f.put(now, devices[5:]...)
		if n := count(t, db, "recent"); n > 10*62 {
			t.Fatalf("%d samples after %d minutes", n, minute)
		}
	}
	if n := count(t, db, "samples"); n != 0 {
		t.Errorf("%d samples were moved", n)
	}
	for minute := 200; minute < 300; minute++ { // nine of them end
		now = t0.Add(time.Duration(minute) * time.Minute)
		f.put(now, "r0")
	}
	if recent, moved := count(t, db, "recent"), count(t, db, "samples"); recent > 72 || moved != 9*61 {
		t.Errorf("%d samples in recent, %d beside those of their series", recent, moved)
	}
	now = now.Add(25 * time.Hour)
	if _, err := db.Writer.Prune(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"recent", "samples", "newest", "series"} {
		if n := count(t, db, table); n != 0 {
			t.Errorf("%d rows left in %s", n, table)
		}
	}
}

// The samples of a tenant whose id is used again go with it, and no others.
func TestSamplesOfATenantThatIsGone(t *testing.T) {
	db, ctx := openTest(t, t.TempDir(), store.Options{Now: func() time.Time { return t0.Add(time.Hour) }}), context.Background()
	old, other := &pings{t: t, w: db.Writer, tenant: "acme"}, &pings{t: t, w: db.Writer, tenant: "globex"}
	for minute := range 30 {
		at := t0.Add(time.Duration(minute) * time.Minute)
		other.put(at, "r1")
		old.put(at, "r1", "r2")
	}
	for _, account := range []string{"A", "B"} {
		if err := db.Writer.PutTenant(ctx, "acme", store.Tenant{Name: "Acme", Account: account}); err != nil {
			t.Fatal(err)
		}
	}
	if recent, newest := count(t, db, "recent"), count(t, db, "newest"); recent != 30 || newest != 1 {
		t.Errorf("%d samples of %d series are left", recent, newest)
	}
	again := &pings{t: t, w: db.Writer, tenant: "acme", seq: 1000}
	again.put(t0.Add(time.Hour), "r1")
	if n := count(t, db, "recent r JOIN newest n ON n.id = r.chain JOIN series x ON x.id = n.series WHERE x.tenant = 'acme'"); n != 1 {
		t.Errorf("%d samples of the new tenant, want 1", n)
	}
}

// older makes a database as the program before recent left it, with an hour of
// samples of a device.
func older(t *testing.T, dir string) {
	t.Helper()
	ctx := context.Background()
	db, err := open(filepath.Join(dir, "primary.db"), 1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sub)
	if err == nil {
		_, err = p.UpTo(ctx, 2)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`INSERT INTO cursors VALUES ('acme', 'METRICS', 1, 61, 1, 1)`,
		`INSERT INTO devices (tenant, site, device, seen, d_removed) VALUES ('acme', 'syd', 'r1', 1, 0)`,
		`INSERT INTO series VALUES (1, 'acme', 'syd', 'r1', '` + string(event.TypePing) + `')`,
		fmt.Sprintf(`WITH RECURSIVE m(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM m WHERE i < 60)
			INSERT INTO samples SELECT 1, %d + i * 60000000000, CAST('{"rttMs":' || i || '}' AS BLOB) FROM m`, t0.UnixNano()),
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
}

// checkMigrated opens a database of the older form and goes on with its series.
func checkMigrated(t *testing.T, dir string) {
	t.Helper()
	at := t0.Add(90 * time.Minute)
	db := openTest(t, dir, store.Options{Now: func() time.Time { return at }})
	points := func() []api.Point {
		d, err := db.Reader.Device(context.Background(), api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"})
		i := slices.IndexFunc(d.Metrics, func(m api.Series) bool { return m.Name == "rttMs" })
		if err != nil || i < 0 {
			t.Fatal(d.Metrics, err)
		}
		return d.Metrics[i].Points
	}
	if p := points(); len(p) != 61 || p[0].Value != 0 || p[60].Value != 60 {
		t.Fatalf("%d points after the migration: %v", len(p), p)
	}
	(&pings{t: t, w: db.Writer, tenant: "acme", seq: 61}).put(at, "r1")
	if p := points(); len(p) != 32 || p[0].Value != 30 || p[31].Value != 62 {
		t.Errorf("%d points when the series has gone on: %v", len(p), p)
	}
	if n := count(t, db, "samples"); n != 31 {
		t.Errorf("%d older samples are kept, want those of the window", n)
	}
}

// An older database keeps its samples, and the series go on.
func TestOlderSamples(t *testing.T) {
	dir := t.TempDir()
	older(t, dir)
	checkMigrated(t, dir)
}

// So does one whose program was killed while it made the tables, at any step.
func TestKilledWhileTablesAreMade(t *testing.T) {
	for steps := range createRecent {
		dir := t.TempDir()
		older(t, dir)
		db, err := open(filepath.Join(dir, "primary.db"), 1, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range createRecent[:steps] {
			if _, err := db.ExecContext(context.Background(), q); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		checkMigrated(t, dir)
	}
}

// The program of the last release runs for a while: it removes series of which it has
// no samples, gives their numbers to others, and goes on with those that it knows.
// What it did counts, and no sample comes into another's series.
func TestLastReleaseInBetween(t *testing.T) {
	ctx, dir, now := context.Background(), t.TempDir(), t0
	opts := store.Options{Now: func() time.Time { return now }}
	db := openTest(t, dir, opts)
	f := &pings{t: t, w: db.Writer, tenant: "acme"}
	for minute := range 30 {
		now = t0.Add(time.Duration(minute) * time.Minute)
		f.put(now, "r1", "r2")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	last, err := open(filepath.Join(dir, "primary.db"), 1, "")
	if err != nil {
		t.Fatal(err)
	}
	now = t0.Add(40 * time.Minute)
	sample := func(series int) string {
		return fmt.Sprintf(`INSERT INTO samples VALUES (%d, %d, CAST('{"rttMs":1000}' AS BLOB))`, series, now.UnixNano())
	}
	for _, q := range []string{
		sample(1), // r1 goes on, r2 does not
		`DELETE FROM series WHERE id IN (SELECT id FROM series WHERE NOT EXISTS (SELECT 1 FROM samples WHERE series = id) LIMIT 1000)`,
		`INSERT INTO series (tenant, site, entity, type) VALUES ('globex', 'syd', 'g1', '` + string(event.TypePing) + `')`,
		sample(2),
		`INSERT INTO cursors VALUES ('globex', 'METRICS', 1, 1, 1, 1)`,
		`INSERT INTO devices (tenant, site, device, seen, d_removed) VALUES ('globex', 'syd', 'g1', 1, 0), ('acme', 'syd', 'r3', 1, 0)`,
		`UPDATE devices SET d_removed = 0`,
	} {
		if _, err := last.ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	if err := last.Close(); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, dir, opts)
	points := func(tenant, device string) (n int) {
		d, err := db.Reader.Device(ctx, api.DeviceRef{Tenant: tenant, Site: "syd", Device: device})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range d.Metrics {
			if m.Name == "rttMs" {
				n += len(m.Points)
			}
		}
		return n
	}
	check := func(r1, r2, g1 int) {
		t.Helper()
		if a, b, c := points("acme", "r1"), points("acme", "r2"), points("globex", "g1"); a != r1 || b != r2 || c != g1 {
			t.Errorf("%d, %d and %d points, want %d, %d and %d", a, b, c, r1, r2, g1)
		}
	}
	check(31, 0, 1)
	f.w = db.Writer
	other := &pings{t: t, w: db.Writer, tenant: "globex", seq: 1}
	for minute := 41; minute < 150; minute++ { // until what r2 left has reached the beginning
		now = t0.Add(time.Duration(minute) * time.Minute)
		other.put(now, "g1")
		if minute == 41 {
			f.put(now, "r1")
			check(32, 0, 2)
		}
	}
	check(32, 0, 61)
	if n := count(t, db, "recent"); n > 62 {
		t.Errorf("%d samples are kept", n)
	}
}
