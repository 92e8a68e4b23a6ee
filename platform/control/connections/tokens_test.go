package connections

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func seen(server, user string, id uint64) (e connectEvent) {
	e.Client.Start = time.Unix(int64(id), 0)
	e.Server.Name, e.Client.User, e.Client.ID, e.Client.Host = server, user, id, "192.0.2.1"
	return e
}

// What a node sees may begin with an end: it was down when the connection came.
func TestTokensBeginsWithADisconnect(t *testing.T) {
	w := NewTokens(TokenConfig{})
	w.went(seen("n1", "A", 1))
	if len(w.conns) != 0 || w.From("A") != "unknown" {
		t.Errorf("%+v", w.conns)
	}
}

// The oldest go, and only as many as are too many.
func TestTokensKeepsTheNewest(t *testing.T) {
	w := NewTokens(TokenConfig{})
	for id := uint64(1); id <= 5; id++ {
		if over := w.came(seen("n1", "A", id)); over != (id > maxPerToken) {
			t.Errorf("connection %d: %t", id, over)
		}
	}
	w.came(seen("n2", "B", 1))
	w.went(seen("n1", "A", 2))
	w.went(seen("n2", "A", 3)) // another node's
	var gone []uint64
	for _, a := range w.over("A") {
		gone = append(gone, a.client)
	}
	if len(gone) != 2 || gone[0] != 1 || gone[1] != 3 || len(w.over("A")) != 0 || len(w.over("B")) != 0 {
		t.Errorf("closed %v", gone)
	}
	if from := w.From("A"); from != "192.0.2.1 via n1" {
		t.Errorf("from %q", from)
	}
	w.went(seen("n1", "A", 4))
	w.went(seen("n1", "A", 5))
	w.went(seen("n2", "B", 1))
	if len(w.conns) != 0 {
		t.Errorf("%+v", w.conns)
	}
}

// In any order nodes see connections, they keep the same two.
func TestTokensIsTheSameEverywhere(t *testing.T) {
	var kept []string
	for range 20 {
		w := NewTokens(TokenConfig{})
		for _, i := range rand.Perm(20) {
			w.came(seen(fmt.Sprintf("n%d", 1+i%3), "A", uint64(1+i/2)))
		}
		if over := w.over("A"); len(over) != 18 {
			t.Fatalf("%d too many", len(over))
		}
		kept = append(kept, fmt.Sprint(w.conns["A"]))
		if kept[0] != kept[len(kept)-1] {
			t.Fatalf("%s, and elsewhere %s", kept[0], kept[len(kept)-1])
		}
	}
}
