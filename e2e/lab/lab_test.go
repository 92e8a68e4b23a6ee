//go:build e2e

package lab

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"midplane/internal/testcluster"
	"midplane/internal/wait"
)

var (
	seed   = flag.Uint64("lab-seed", 0, "seed of all choices; 0 takes one from the clock")
	rounds = flag.Int("lab-rounds", 1, "how often each row runs, each time with the next seed")
	bin    = flag.String("lab-bin", "", "the program to try, a file named midplane; built from the sources when it is empty")
	long   = flag.Bool("lab-long", false, "also the rows of the long form")
)

// TestMatrix runs every row; -run TestMatrix/NAME one of them.
func TestMatrix(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	if *bin == "" {
		built, err := testcluster.Build(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		*bin = built
	}
	for _, row := range Matrix() {
		if row.Long && !*long {
			continue
		}
		if *long && row.More != nil {
			row.Beside = row.More
		}
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			for i := range *rounds {
				row.run(t, *bin, *seed+uint64(i))
			}
		})
	}
}

// run runs a row once, prints what happened, and fails when the verdict is not what
// it should be.
func (row Row) run(t *testing.T, bin string, seed uint64) {
	limit := 10 * time.Minute
	if row.Long {
		limit *= 2
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	w := newWorld(ctx, t, bin, seed)
	if err := row.prepare(ctx, w); err != nil {
		t.Fatalf("%v\n%s", err, w.sys.Log("n1"))
	}
	work, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.work(work) }()
	err := wait.For(ctx, 3*time.Second)
	var written error
	if row.Quiet {
		stop()
		written = <-done
	}
	for _, step := range row.Steps {
		if err == nil {
			err = step.Do(ctx, w)
		}
	}
	if err == nil && !row.Quiet {
		err = wait.For(ctx, 2*time.Second)
	}
	stop()
	if !row.Quiet {
		written = <-done
	}
	if err != nil {
		t.Fatalf("seed %d, the schedule was not carried out: %v\n%s", seed, err, strings.Join(w.schedule, "\n"))
	}
	v := w.set.judge(ctx, w, row)
	if written != nil {
		v.find("gave up: %v", written)
	}
	t.Logf("%s: %s\nseed %d\n%s\n%s", row.Name, row.What, seed, strings.Join(w.schedule, "\n"), v)
	if lost := len(v.Findings) > 0; lost != row.Loses {
		for _, n := range w.sys.Nodes {
			t.Logf("%s:\n%s", n, w.sys.Log(n))
		}
		t.Errorf("%s: %s", row.Name, v)
	}
}

// prepare gives the nodes their disks and starts everything.
func (row Row) prepare(ctx context.Context, w *World) error {
	w.flags, w.back = row.Flags, row.Back
	if row.Disks {
		if err := w.forgetful(); err != nil {
			return err
		}
	}
	if row.Small {
		if err := w.small("n3", 1<<30); err != nil {
			return err
		}
	}
	for _, name := range row.Beside {
		b := newWorkload(name)
		if b == nil {
			return fmt.Errorf("there is no workload %q", name)
		}
		b.Declare(w)
		w.beside = append(w.beside, b)
	}
	if err := w.start(ctx); err != nil {
		return err
	}
	for _, b := range w.beside {
		if first, ok := b.(interface {
			Before(context.Context, *World) error
		}); ok {
			if err := first.Before(ctx, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// newWorkload makes a workload by its name.
func newWorkload(name string) Workload {
	switch name {
	case endToEnd:
		return &EndToEnd{}
	case subscription:
		return &Subscription{}
	case statusTruth:
		return &Status{}
	case readerSilence:
		return &Silence{}
	case register:
		return &Register{}
	case tenantsCome:
		return &Tenants{}
	case enrolment:
		return &Enrolment{}
	case baseline:
		return &Baseline{}
	}
	return nil
}
