package outbox

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"midplane/event"
	"midplane/internal/testwait"
	"midplane/telemetry"
)

// sendAll acknowledges all that waits, and returns it as it was sent.
func sendAll(t *testing.T, o *Outbox) (out []event.Event) {
	t.Helper()
	for o.Stats().Depth > 0 {
		for _, e := range next(t, o, 100) {
			o.Ack(&e)
			out = append(out, e)
		}
	}
	return out
}

// What was acknowledged can be had once more as it was sent, from memory, from the
// files, and after a restart; what waits or was given up cannot, and of a new outbox
// nothing is left.
func TestKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	cfg := Config{Path: path, LedgerAfter: time.Hour}
	o, stop := opened(t, cfg)
	for i := range 50 {
		put(t, o, happened(fmt.Sprint("e", i), kilo), sample(fmt.Sprint("m", i), kilo), state(fmt.Sprint("s", i), kilo))
	}
	var sent []event.Event
	for _, e := range sendAll(t, o) {
		if e.Kind == event.KindEvent && e.Sequence >= 10 && e.Sequence <= 20 {
			sent = append(sent, e)
		}
	}
	same := func(when string) {
		t.Helper()
		got, err := o.Kept(event.KindEvent, 10, 20, 100)
		if diff := cmp.Diff(sent, got, cmpopts.IgnoreFields(event.Event{}, "Low")); err != nil || diff != "" || len(sent) != 11 {
			t.Errorf("%s: %v (-sent +kept):\n%s", when, err, diff)
		}
	}
	same("from memory")
	o.queue.kept.write(time.Now(), 0)
	if files, err := filepath.Glob(path + ".sent.*"); err != nil || len(files) != 1 {
		t.Fatalf("nothing was written: %v %v", files, err)
	}
	same("from a file")
	put(t, o, happened("late", "1"))
	if got, err := o.Kept(event.KindEvent, 45, 99, 3); err != nil || len(got) != 3 || got[0].Sequence != 45 || got[2].Sequence != 47 {
		t.Errorf("three from 45 on: %+v, %v", got, err)
	}
	if got, _ := o.Kept(event.KindEvent, 51, 99, 3); len(got) != 0 {
		t.Errorf("what waits is said to be kept: %+v", got)
	}
	if got, _ := o.Kept(event.KindState, 1, 99, 3); len(got) != 0 {
		t.Errorf("states are kept: %+v", got)
	}
	if got, _ := o.Kept(event.KindMetric, 1, 99, 100); len(got) != 50 {
		t.Errorf("%d metrics are kept", len(got))
	}
	sendAll(t, o)
	stop()
	o, stop = opened(t, cfg)
	same("after a restart")
	if got, _ := o.Kept(event.KindEvent, 51, 51, 3); len(got) != 1 {
		t.Error("what was acknowledged before a stop is not kept")
	}
	stop()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	o, stop = opened(t, cfg)
	if got, _ := o.Kept(event.KindEvent, 1, 99, 100); len(got) != 0 {
		t.Errorf("of another epoch: %+v", got)
	}
	stop()
	if left, err := filepath.Glob(path + ".sent.*"); err != nil || len(left) != 0 {
		t.Errorf("files of another epoch are left: %v %v", left, err)
	}
}

// A torn or damaged file costs what is in the damage, and nothing else.
func TestKeptIsDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	k := openKept(newIdentity(producer, 7), Config{Path: path, KeepBytes: 1 << 20}, slog.New(slog.DiscardHandler))
	fill := func(from uint64) {
		for seq := from; seq < from+10; seq++ {
			e := happened("e", kilo)
			k.id.mark(&e, seq)
			k.add(0, &e)
		}
		k.write(time.Now(), 0)
	}
	fill(1)
	fill(11)
	fill(21)
	file := k.files[0].path
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[k.files[0].blocks[1].at+10] ^= 1
	if err := os.WriteFile(file, data[:len(data)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	k = openKept(newIdentity(producer, 7), Config{Path: path, KeepBytes: 1 << 20}, slog.New(slog.DiscardHandler))
	got, err := k.find(0, 1, 30, 100)
	if len(got) != 10 || got[9].Sequence != 10 || err == nil {
		t.Errorf("%d messages, %v", len(got), err)
	}
	fill(31) // behind what was whole
	if got, _ = k.find(0, 1, 40, 100); len(got) != 20 {
		t.Errorf("%d messages after one more block", len(got))
	}
}

// The files are bounded by time and by room, and go first when the disk is full; then
// nothing is kept for a while.
func TestKeptIsBounded(t *testing.T) {
	const most = 60 << 10
	path := filepath.Join(t.TempDir(), "o.db")
	k := openKept(newIdentity(producer, 7), Config{Path: path, KeepBytes: most}, slog.New(slog.DiscardHandler))
	now, seq := time.Now(), uint64(0)
	fill := func() {
		for range 4 {
			seq++
			e := happened("e", random(4<<10)) // does not compress
			k.id.mark(&e, seq)
			k.add(0, &e)
		}
		k.write(now, 0)
	}
	disk := func() (n int64) {
		files, err := filepath.Glob(path + ".sent.*")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			n += info.Size()
		}
		return n
	}
	for range 40 {
		if fill(); disk() == 0 || disk() > most {
			t.Fatalf("%d bytes, %d are allowed", disk(), most)
		}
	}
	if got, err := k.find(0, seq-3, seq, 9); len(got) != 4 || err != nil {
		t.Errorf("the newest are not kept: %d, %v", len(got), err)
	}
	now = now.Add(keepFor + time.Minute)
	if k.write(now, 0); disk() != 0 {
		t.Errorf("%d bytes are older than they are kept", disk())
	}
	fill()
	if !k.release() || disk() != 0 || k.release() {
		t.Error("it does not go when the disk is full")
	}
	if fill(); disk() != 0 {
		t.Error("it fills the disk again at once")
	}
}

// A disk that is full costs what is kept, and not the ballast.
func TestKeptGoesBeforeTheBallast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	o, err := Open(t.Context(), Config{Path: path, Producer: producer, BallastBytes: 128 << 10, LedgerAfter: time.Hour}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	there := func() bool {
		files, err := filepath.Glob(path + ".sent.*")
		if err != nil {
			t.Fatal(err)
		}
		return len(files) > 0
	}
	e := happened("e", "1")
	o.id.mark(&e, 1)
	o.queue.kept.add(0, &e)
	o.queue.kept.write(time.Now(), 0)
	if !there() {
		t.Fatal("nothing is kept")
	}
	o.db.inject = func() error {
		if there() {
			return fullDisk{}
		}
		return nil
	}
	running(t, o)
	put(t, o, sample("a", kilo))
	if there() || !o.writer.space.ballast.there() || o.Stats().Depth != 1 {
		t.Errorf("kept: %v, ballast: %v, depth %d", there(), o.writer.space.ballast.there(), o.Stats().Depth)
	}
	testwait.True(t, "nothing waits for it", func() bool { return o.Stats().Problem == "" })
}

// random is a payload of so many bytes that no program makes smaller by more than half.
func random(n int) string {
	b := make([]byte, n/2)
	_, _ = rand.Read(b) // it never fails
	return `"` + hex.EncodeToString(b) + `"`
}
