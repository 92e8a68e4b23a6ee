package run

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func part(name string, log *[]string) Part {
	ready := make(chan struct{})
	return Part{
		Name: name,
		Run: func(ctx context.Context) error {
			*log = append(*log, "+"+name)
			close(ready)
			<-ctx.Done()
			*log = append(*log, "-"+name)
			return nil
		},
		Ready: func(ctx context.Context) error { <-ready; return nil },
	}
}

func TestOrder(t *testing.T) {
	var log []string
	var g Group
	for _, n := range []string{"a", "b", "c"} {
		if err := g.Start(context.Background(), part(n, &log)); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(log, " "); got != "+a +b +c -c -b -a" {
		t.Fatal(got)
	}
}

func TestFailure(t *testing.T) {
	boom := errors.New("boom")
	var g Group
	err := g.Start(context.Background(), Part{Name: "x", Run: func(context.Context) error { return boom },
		Ready: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
	if !errors.Is(err, boom) {
		t.Fatalf("Start returned %v", err)
	}
	if err := g.Wait(context.Background()); !errors.Is(err, boom) {
		t.Fatalf("Wait returned %v", err)
	}
}

// TestEarlierFailure: a part that waits for one which has failed would wait in vain.
func TestEarlierFailure(t *testing.T) {
	boom := errors.New("boom")
	var g Group
	fail := make(chan struct{})
	if err := g.Start(context.Background(), Part{Name: "x", Run: func(context.Context) error { <-fail; return boom }}); err != nil {
		t.Fatal(err)
	}
	err := g.Start(context.Background(), Part{Name: "y", Run: func(ctx context.Context) error { <-ctx.Done(); return nil },
		Ready: func(ctx context.Context) error { close(fail); <-ctx.Done(); return ctx.Err() }})
	if !errors.Is(err, boom) {
		t.Fatalf("Start returned %v", err)
	}
	if err := g.Wait(context.Background()); !errors.Is(err, boom) {
		t.Fatalf("Wait returned %v", err)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
}

func TestStopDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		g := Group{StopWithin: time.Minute}
		_ = g.Start(context.Background(), Part{Name: "stuck", Run: func(context.Context) error { <-release; return nil }})
		err := g.Stop()
		if err == nil || !strings.Contains(err.Error(), "stuck") {
			t.Fatalf("Stop returned %v", err)
		}
		close(release)
	})
}
