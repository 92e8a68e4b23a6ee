package control

import "testing"

func heard(server, user string, id uint64) (e connectEvent) {
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
