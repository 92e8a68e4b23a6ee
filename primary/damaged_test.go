package primary

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/internal/testwait"
	"midplane/primary/store"
	"midplane/primary/store/sqlite"
	"midplane/telemetry"
)

// spoil overwrites pages in the middle of a database.
func spoil(t *testing.T, dir string) {
	t.Helper()
	f := ok(os.OpenFile(filepath.Join(dir, "primary.db"), os.O_RDWR, 0))(t)
	defer f.Close()
	size := ok(f.Stat())(t).Size()
	noise := make([]byte, 16*4096)
	_, _ = rand.Read(noise) // it never fails
	if size < 4*int64(len(noise)) {
		t.Fatalf("the database has %d bytes only", size)
	}
	if _, err := f.WriteAt(noise, size/2/4096*4096); err != nil {
		t.Fatal(err)
	}
}

// A damaged database is found when the primary starts and while it runs. It is moved
// away, the primary reads everything again, and says so until the file is removed.
func TestDamagedDatabaseIsReadAgain(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	const n = 5000
	fill(t, acme, n)
	cfg := w.config("p1")
	p := ok(New(cfg, telemetry.Nop()))(t)
	p.checkPause = 10 * time.Millisecond
	start := func(p *Primary) (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	report := func(p *Primary) (st api.PrimaryReport, err error) {
		return st, p.Query(context.Background(), api.PrimaryStatus, struct{}{}, &st)
	}
	reads := func(p *Primary, asides int) api.PrimaryReport {
		t.Helper()
		var st api.PrimaryReport
		testwait.Until(t, fmt.Sprintf("all is read, %d databases are set aside", asides), func() (err error) {
			if st, err = report(p); err != nil {
				return err
			}
			if len(st.Aside) != asides || len(st.Tenants) != 1 || st.Tenants[0].Streams[0].Cursor != n {
				return fmt.Errorf("%+v", st)
			}
			return nil
		})
		seen := map[uint64]bool{}
		for after := ""; ; {
			var page api.Page[api.Event]
			if err := p.Query(context.Background(), api.EventList, api.EventRequest{Tenant: "acme", After: after, Limit: 1000}, &page); err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Items {
				seen[e.Seq] = true
			}
			if after = page.Next; after == "" {
				break
			}
		}
		if len(seen) != n {
			t.Fatalf("%d events of %d", len(seen), n)
		}
		return st
	}
	stop := start(p)
	reads(p, 0)
	stop()
	// While it runs: what was written is in the file when the database was closed.
	p = ok(New(cfg, telemetry.Nop()))(t)
	p.checkPause = 10 * time.Millisecond
	stop = start(p)
	reads(p, 0)
	spoil(t, cfg.Dir)
	st := reads(p, 1)
	problems := api.Health(api.Facts{Primary: &st})
	if !slices.ContainsFunc(problems, func(x api.Problem) bool {
		return x.Code == api.CodePrimaryRebuilt && strings.Contains(x.Message, st.Aside[0])
	}) {
		t.Errorf("%+v", problems)
	}
	stop()
	// When it starts: only the last one is kept.
	spoil(t, cfg.Dir)
	if db, err := sqlite.Open(context.Background(), cfg.Dir, store.Options{}); !errors.Is(err, sqlite.ErrDamaged) {
		t.Fatalf("a damaged database opens: %v %v", db, err)
	}
	testwait.True(t, "another second has begun", func() bool { // it is part of the name
		return !strings.Contains(st.Aside[0], time.Now().UTC().Format("20060102T150405Z"))
	})
	p = ok(New(cfg, telemetry.Nop()))(t)
	stop = start(p)
	defer func() { stop() }()
	again := reads(p, 1)
	if again.Aside[0] == st.Aside[0] {
		t.Error("the database of the first time is kept, not that of the second")
	}
	if err := os.Remove(filepath.Join(cfg.Dir, again.Aside[0])); err != nil {
		t.Fatal(err)
	}
	reads(p, 0)
}
