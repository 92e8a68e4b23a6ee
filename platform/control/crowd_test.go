package control

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func heard(server, user string, id uint64) (e connectEvent) {
	e.Client.Start = time.Unix(int64(id), 0)
	e.Server.Name, e.Client.User, e.Client.ID, e.Client.Host = server, user, id, "192.0.2.1"
	return e
}

// What a node hears may begin with an end: it was down when the connection came.
func TestCrowdBeginsWithADisconnect(t *testing.T) {
	w := newCrowd()
	w.went(heard("n1", "A", 1))
	if len(w.conns) != 0 || w.from("A") != "unknown" {
		t.Errorf("%+v", w.conns)
	}
}

// The oldest go, and only as many as are too many.
func TestCrowdKeepsTheNewest(t *testing.T) {
	w := newCrowd()
	for id := uint64(1); id <= 5; id++ {
		if over := w.came(heard("n1", "A", id)); over != (id > maxPerToken) {
			t.Errorf("connection %d: %t", id, over)
		}
	}
	w.came(heard("n2", "B", 1))
	w.went(heard("n1", "A", 2))
	w.went(heard("n2", "A", 3)) // another node's
	var gone []uint64
	for _, a := range w.over("A") {
		gone = append(gone, a.client)
	}
	if len(gone) != 2 || gone[0] != 1 || gone[1] != 3 || len(w.over("A")) != 0 || len(w.over("B")) != 0 {
		t.Errorf("closed %v", gone)
	}
	if from := w.from("A"); from != "192.0.2.1 via n1" {
		t.Errorf("from %q", from)
	}
	w.went(heard("n1", "A", 4))
	w.went(heard("n1", "A", 5))
	w.went(heard("n2", "B", 1))
	if len(w.conns) != 0 {
		t.Errorf("%+v", w.conns)
	}
}

// In whatever order nodes hear of connections, they keep the same two.
func TestCrowdIsTheSameEverywhere(t *testing.T) {
	var kept []string
	for range 20 {
		w := newCrowd()
		for _, i := range rand.Perm(20) {
			w.came(heard(fmt.Sprintf("n%d", 1+i%3), "A", uint64(1+i/2)))
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
