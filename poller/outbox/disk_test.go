package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/telemetry"
)

// onDisk is an outbox whose writer is the test; full makes its disk full.
type onDisk struct {
	*Outbox
	path string
	full bool
}

func openOnDisk(t *testing.T, cfg Config) *onDisk {
	t.Helper()
	d := &onDisk{path: filepath.Join(t.TempDir(), "o.db")}
	cfg.Path, cfg.Producer, cfg.LedgerAfter = d.path, producer, time.Hour
	o, err := Open(context.Background(), cfg, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	o.db.inject = func() error {
		if d.full && !o.writer.space.ballast.there() {
			return fullDisk{}
		}
		return nil
	}
	d.Outbox = o
	return d
}

// send is Put, one transaction each.
func (d *onDisk) send(t *testing.T, want fault.Kind, events ...event.Event) {
	t.Helper()
	r := &request{events: events, done: make(chan error, 1)}
	if err := d.writer.commit([]*request{r}, false); err != nil {
		t.Fatal(err)
	}
	if err := <-r.done; fault.KindOf(err) != want {
		t.Fatalf("%v, want %q", err, want)
	}
}

// TestBallastIsNotLeftToTheLog: with the ballast's room the log is written back
// at once. Otherwise it would grow over that room, and then neither it nor the
// database could.
func TestBallastIsNotLeftToTheLog(t *testing.T) {
	d := openOnDisk(t, Config{BallastBytes: 128 << 10})
	for i := range 100 {
		d.send(t, "", sample(fmt.Sprint("m", i), kilo))
	}
	if n := size(t, d.path); n > 50<<10 {
		t.Fatalf("%d bytes are written back already: the test proves nothing", n)
	}
	d.db.inject = func() error {
		if d.writer.space.ballast.there() {
			return fullDisk{}
		}
		return nil
	}
	d.send(t, "", sample("m", kilo))
	if n := size(t, d.path); n < 100<<10 {
		t.Fatalf("the database has %d bytes: the log was not written back", n)
	}
	if got := d.Stats(); got.Depth != 101 || !strings.Contains(got.Problem, "ballast") {
		t.Fatalf("%+v", got)
	}
	d.db.inject = nil
	d.writer.space.keepBallast()
	if got := d.Stats().Problem; got != "" || !d.writer.space.ballast.there() {
		t.Fatalf("the ballast is there again, and still: %q", got)
	}
}

// TestFullDiskGivesNothingUpInVain: when not even a deletion can be written,
// giving messages up makes no room, and would lose them.
func TestFullDiskGivesNothingUpInVain(t *testing.T) {
	d := openOnDisk(t, Config{BallastBytes: 64 << 10})
	for i := range 50 {
		d.send(t, "", sample(fmt.Sprint("m", i), kilo), happened(fmt.Sprint("e", i), kilo))
	}
	d.full = true
	d.writer.space.ballast.release()
	for i := range 20 {
		d.send(t, fault.Exhausted, happened(fmt.Sprint("x", i), kilo))
	}
	s := d.Stats()
	if s.Depth != 100 || len(s.GivenUp) > 0 {
		t.Fatalf("%d of 100 messages left, given up: %v", s.Depth, s.GivenUp)
	}
	if !strings.Contains(s.Problem, "nothing can be kept since") {
		t.Fatalf("the status says %q", s.Problem)
	}
	d.full = false
	d.send(t, "", happened("y", kilo))
	if s := d.Stats(); s.Depth != 101 || strings.Contains(s.Problem, "kept") {
		t.Fatalf("%+v", s)
	}
}

// TestTroubleIsSaidOnce: the log may be on the full disk, too.
func TestTroubleIsSaidOnce(t *testing.T) {
	var log strings.Builder
	d := openOnDisk(t, Config{BallastBytes: -1})
	d.trouble.log = slog.New(slog.NewTextHandler(&log, nil))
	for range 3 {
		d.full = true
		for i := range 10 {
			d.send(t, fault.Exhausted, happened(fmt.Sprint("x", i), "1"))
			if err := d.writer.commit(nil, true); err != nil { // a tick with nothing to write
				t.Fatal(err)
			}
		}
		d.full = false
		d.send(t, "", happened("y", "1"))
	}
	if began, over := strings.Count(log.String(), "cannot be written"), strings.Count(log.String(), "written again"); began != 3 || over != 3 {
		t.Fatalf("began %d times, over %d times:\n%s", began, over, log.String())
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
