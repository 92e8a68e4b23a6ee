package wait

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := For(t.Context(), time.Hour); err != nil || time.Since(began) != time.Hour {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := For(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Hour+time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// A loop that ends with its context must not get one more turn by chance.
func TestForSaysThatTheContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if err := For(ctx, -time.Second); err != nil {
		t.Error(err)
	}
	cancel()
	for range 1000 {
		for _, d := range []time.Duration{-1, 0, 1} {
			if err := For(ctx, d); !errors.Is(err, context.Canceled) {
				t.Fatalf("%d: %v", d, err)
			}
		}
	}
}

func TestNudgesAreOne(t *testing.T) {
	c := make(chan struct{}, 1)
	Nudge(c)
	Nudge(c)
	<-c
	select {
	case <-c:
		t.Error("two nudges are two")
	default:
	}
}

func TestGrowing(t *testing.T) {
	g := NewGrowing(100*time.Millisecond, time.Second)
	check := func(d, least, most time.Duration) {
		t.Helper()
		if d < least || d > most {
			t.Errorf("%s is not between %s and %s", d, least, most)
		}
	}
	check(g.Next(), 50*time.Millisecond, 150*time.Millisecond)
	for range 20 {
		g.Next()
	}
	check(g.Next(), 500*time.Millisecond, 1500*time.Millisecond)
	g.Reset()
	check(g.Next(), 50*time.Millisecond, 150*time.Millisecond)
	g = g.By(4)
	g.Reset()
	g.Next()
	check(g.Next(), 200*time.Millisecond, 600*time.Millisecond)
}
