package look

import (
	"slices"
	"testing"

	"midplane/api"
)

// An act is recorded twice and shown once, with its end when that is known.
func TestActsAreShownOnce(t *testing.T) {
	begun := func(id string) api.AuditRecord { return api.AuditRecord{ID: id, Result: api.AuditBegun} }
	recs := []api.AuditRecord{begun("1"), {ID: "1", Result: api.AuditOK}, begun("2"), {ID: "3", Result: "denied"}, {ID: "2", Result: "conflict"}, begun("4")}
	var got []string
	for _, r := range once(recs) {
		got = append(got, r.ID+" "+r.Result)
	}
	if want := []string{"1 ok", "3 denied", "2 conflict", "4 begun"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := once(nil); got == nil || len(got) > 0 {
		t.Errorf("%v", got)
	}
}
