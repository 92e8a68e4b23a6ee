package sqlite

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/primary/store/storetest"
)

var killRounds = flag.Int("kill-rounds", 20, "how often TestKill kills the folding process")

// The child of TestKill folds a stream that never ends, from its cursor, until
// it is killed. It prints each cursor it has committed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MIDPLANE_TEST_FOLD_DIR"); dir != "" {
		if err := foldForever(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func foldForever(dir string) error {
	ctx := context.Background()
	db, err := Open(ctx, dir, store.Options{})
	if err != nil {
		return err
	}
	for {
		cursors, err := db.Writer.Cursors(ctx, "acme")
		if err != nil {
			return err
		}
		at := int(cursors[event.StreamEvents].Seq)
		// What is read overlaps what was read before, as after a redelivery.
		from := max(0, at-rand.Intn(50))
		r, err := db.Writer.Apply(ctx, "acme", storetest.Events(from, 1+rand.Intn(400)))
		if err != nil {
			return err
		}
		fmt.Println(max(at, int(r.Cursors[event.StreamEvents].Seq)))
	}
}

// A process that folds is killed at random points; what it printed as
// committed is there, and every event is there exactly once.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	promised := uint64(0)
	for round := range *killRounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "MIDPLANE_TEST_FOLD_DIR="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Let it commit a few times, then kill it at any point of the next one.
		lines := bufio.NewScanner(out)
		commits := 1 + rand.Intn(5)
		for i := 0; i < commits && lines.Scan(); i++ {
			promised = promise(t, lines.Text(), promised)
		}
		time.Sleep(time.Duration(rand.Intn(15)) * time.Millisecond) // a random point, not a wait for something
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			promised = promise(t, lines.Text(), promised)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
			t.Fatalf("round %d: the child ended by itself: %v", round, err)
		}
		checkOnce(t, dir, promised)
	}
	t.Logf("%d rounds, %d events promised", *killRounds, promised)
}

func promise(t *testing.T, line string, before uint64) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(line, 10, 63)
	if err != nil {
		return before // the last line may be cut off
	}
	return max(n, before)
}

func checkOnce(t *testing.T, dir string, promised uint64) {
	t.Helper()
	ctx := context.Background()
	db, err := Open(ctx, dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n, distinct, first, last, cursor uint64
	if err := db.reads.QueryRowContext(ctx, `SELECT count(*), count(DISTINCT stream_seq), min(stream_seq), max(stream_seq),
		(SELECT seq FROM cursors WHERE tenant = 'acme' AND stream = 'EVENTS') FROM events`).Scan(&n, &distinct, &first, &last, &cursor); err != nil {
		t.Fatal(err)
	}
	if n != distinct || first != 1 || last != n || cursor != n || n < promised {
		t.Fatalf("%d events, %d distinct, %d to %d, cursor %d, promised %d", n, distinct, first, last, cursor, promised)
	}
	var check string
	if err := db.reads.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		t.Fatal(check, err)
	}
	// The ledger of each poller says the same as the log.
	var alarms int
	if err := db.reads.QueryRowContext(ctx, "SELECT count(*) FROM alarms").Scan(&alarms); err != nil || alarms > 0 {
		t.Fatalf("%d alarms, %v", alarms, err)
	}
	for p := range 8 {
		l, err := (&tx{st: &db.Writer.st, tenant: "acme"}).ledger(ctx, fold.LedgerKey{Producer: event.Producer(fmt.Sprintf("p%d", p)), Epoch: 1, Stream: event.StreamEvents})
		if err != nil {
			t.Fatal(err)
		}
		if l != nil && (len(l.Received) != 1 || l.Received[0].From != 1 || l.Received[0].To != l.High) {
			t.Fatalf("ledger of p%d: %+v", p, l)
		}
	}
}
