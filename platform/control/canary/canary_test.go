package canary

import (
	"fmt"
	"testing"

	"midplane/event"
)

// When there are more tenants than one round publishes in, they take turns, and
// all have had theirs after as many rounds as it takes.
func TestTurns(t *testing.T) {
	for _, x := range []struct {
		all, n, offset int
		want           string
	}{
		{3, 5, 7, "[0 1 2]"}, {5, 5, 2, "[0 1 2 3 4]"}, {5, 2, 0, "[0 1]"}, {5, 2, 2, "[2 3]"}, {5, 2, 4, "[4 0]"}, {0, 2, 3, "[]"},
	} {
		var all []int
		for i := range x.all {
			all = append(all, i)
		}
		if got := fmt.Sprint(turn(all, x.offset, x.n)); got != x.want {
			t.Errorf("%+v: %s", x, got)
		}
	}
	seen, offset := map[int]bool{}, 0
	all := make([]int, 1037)
	for i := range all {
		all[i] = i
	}
	for range 11 {
		for _, i := range turn(all, offset, sampleSize) {
			seen[i] = true
			offset++
		}
	}
	if len(seen) != len(all) {
		t.Errorf("%d of %d had their turn", len(seen), len(all))
	}
}

// A marker at home counts once; elsewhere it is a leak; one that was not
// published in this round is neither.
func TestWatch(t *testing.T) {
	w := &watch{from: map[string]event.Tenant{"a": "acme", "g": "globex"}, waiting: map[event.Tenant]bool{"acme": true, "globex": true}, leaks: map[leak]bool{}, home: make(chan struct{})}
	w.saw("acme", "a")
	w.saw("acme", "a")
	w.saw("acme", "unknown")
	w.saw("globex", "a")
	if len(w.waiting) != 1 || len(w.leaks) != 1 || !w.leaks[leak{From: "acme", In: "globex"}] {
		t.Errorf("%+v", w)
	}
	w.saw("globex", "g")
	select {
	case <-w.home:
	default:
		t.Error("all are home, and it does not show")
	}
	w.saw("globex", "g") // closed once
}
