package registry

import (
	"fmt"
	"testing"

	"midplane/event"
	"midplane/fault"
)

// What declaring and trimming store is compared first: neither forgets what the
// other wrote.
func TestDeclaredIsComparedAndSet(t *testing.T) {
	r, _, _ := pair(t)
	first, at := r.Declared("acme")
	if first.Revision != 0 || at != 0 {
		t.Fatalf("%+v at %d", first, at)
	}
	if _, err := r.PutDeclared(testContext(t), "acme", Declared{Revision: 1}, at); err != nil {
		t.Fatal(err)
	}
	_, worker := r.Declared("acme")
	_, trimmer := r.Declared("acme")
	if _, err := r.PutDeclared(testContext(t), "acme", Declared{Revision: 2}, worker); err != nil {
		t.Fatal(err)
	}
	if _, err := r.PutDeclared(testContext(t), "acme", Declared{Revision: 1}, trimmer); !fault.Is(err, fault.Conflict) {
		t.Errorf("the trimmer wrote over what was declared in between: %v", err)
	}
	if now, _ := r.Declared("acme"); now.Revision != 2 {
		t.Errorf("%+v", now)
	}
}

// Any number of removals is kept, in several values, and none of them stays behind.
func TestManyRemovals(t *testing.T) {
	r, _, _ := pair(t)
	d := Declared{Revision: 1, Removed: map[string]Removal{}}
	for i := range 3*maxRemoved + 1 {
		id := fmt.Sprintf("r%05d", i)
		d.Removed["syd/"+id] = Removal{Site: "syd", Device: event.Entity(id), Seq: uint64(i + 1)}
	}
	at, err := r.PutDeclared(testContext(t), "acme", d, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, rev := r.Declared("acme")
	if rev != at || len(got.Removed) != len(d.Removed) || got.Removed["syd/r04000"] != d.Removed["syd/r04000"] || len(got.More) != 3 {
		t.Fatalf("%d removals of %d, in %d more values", len(got.Removed), len(d.Removed), len(got.More))
	}
	got.Removed = map[string]Removal{"syd/r00001": d.Removed["syd/r00001"]}
	if _, err = r.PutDeclared(testContext(t), "acme", got, rev); err != nil {
		t.Fatal(err)
	}
	if err := r.FreshStatus(testContext(t)); err != nil {
		t.Fatal(err)
	}
	left := 0
	r.Status.Prefix(RemovedPrefix, func(Entry) { left++ })
	if now, _ := r.Declared("acme"); len(now.Removed) != 1 || left != 0 {
		t.Errorf("%d removals and %d other values are left", len(now.Removed), left)
	}
}
