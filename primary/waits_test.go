package primary

import (
	"context"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/telemetry"
)

// TestFoldingThatWaitsIsSeen: a primary whose database cannot be written says
// so once, shows that it falls behind, and goes on where it was.
func TestFoldingThatWaitsIsSeen(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	var log syncText
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(&log, nil))
	cfg := w.config("p1")
	_, stop := run(t, cfg, tel)
	q := w.query()
	put := func(entity event.Entity) {
		acme.put(t, event.KindEvent, entity, "app.thing.v1", map[string]string{"message": "hello"})
	}
	put("a")
	testwait.True(t, "the first is there", func() bool { return len(events(t, q, api.EventRequest{Tenant: "acme"})) == 1 })

	// Another process holds the database.
	path := filepath.Join(cfg.Dir, "primary.db")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v: others may read it", info.Mode(), err)
	}
	other, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := other.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	for _, e := range []event.Entity{"b", "c", "d"} {
		put(e)
	}
	report := func() (problem string, lag uint64) {
		for _, tenant := range ask[api.PrimaryReport](t, q, api.PrimaryStatus, struct{}{}).Tenants {
			for _, s := range tenant.Streams {
				if s.Stream == event.StreamEvents {
					return tenant.Problem, s.Lag
				}
			}
		}
		return "", 0
	}
	testwait.True(t, "it says that it waits and how far it is behind", func() bool {
		problem, lag := report()
		return strings.Contains(problem, "EVENTS") && lag == 3
	})
	if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	testwait.True(t, "all is there", func() bool { return len(events(t, q, api.EventRequest{Tenant: "acme"})) == 4 })
	testwait.True(t, "nothing is wrong any more", func() bool {
		problem, lag := report()
		return problem == "" && lag == 0
	})
	stop()
	if text := log.String(); strings.Count(text, "folding waits") != 1 || strings.Count(text, "folding goes on") != 1 {
		t.Errorf("waiting is not logged once:\n%s", text)
	}
}

// syncText is a log that a test reads while it is written.
type syncText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
