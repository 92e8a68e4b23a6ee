package registry

import (
	"testing"

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
	if err := r.PutDeclared(testContext(t), "acme", Declared{Revision: 1}, at); err != nil {
		t.Fatal(err)
	}
	_, worker := r.Declared("acme")
	_, trimmer := r.Declared("acme")
	if err := r.PutDeclared(testContext(t), "acme", Declared{Revision: 2}, worker); err != nil {
		t.Fatal(err)
	}
	if err := r.PutDeclared(testContext(t), "acme", Declared{Revision: 1}, trimmer); !fault.Is(err, fault.Conflict) {
		t.Errorf("the trimmer wrote over what was declared in between: %v", err)
	}
	if now, _ := r.Declared("acme"); now.Revision != 2 {
		t.Errorf("%+v", now)
	}
}
