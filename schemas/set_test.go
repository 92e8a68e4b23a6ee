package schemas_test

import (
	"slices"
	"strings"
	"testing"

	"midplane/event"
	"midplane/fault"
	"midplane/schemas"
	"midplane/schemas/catalog"
)

func TestSet(t *testing.T) {
	own := testSchema(`{"type":"object"}`, `{}`)
	own.Type = "acme.door.opened.v1"
	set, err := catalog.Set().With([]schemas.Schema{own})
	if err != nil {
		t.Fatal(err)
	}
	if entry, ok := set.Lookup(own.Type); !ok || entry.Schema.Type != own.Type || entry.Validator.Validate([]byte(`{}`)) != nil {
		t.Errorf("own type: %v %v", entry, ok)
	}
	if _, ok := catalog.Set().Lookup(own.Type); ok {
		t.Error("With changed the set that it was called on")
	}
	if _, ok := set.Lookup("acme.none.v1"); ok {
		t.Error("found a type that was not defined")
	}
	theirs, _ := catalog.Set().Lookup(event.TypePing)
	ours, _ := set.Lookup(event.TypePing)
	if theirs.Validator != ours.Validator {
		t.Error("the catalogue was compiled again")
	}
	all := set.All()
	if len(all) != len(catalog.Schemas())+1 || !slices.IsSortedFunc(all, func(a, b schemas.Schema) int { return strings.Compare(string(a.Type), string(b.Type)) }) {
		t.Errorf("%d schemas, or not sorted", len(all))
	}
	if same, err := set.With(nil); err != nil || same != set {
		t.Errorf("With nothing: %v", err)
	}
}

func TestSetRefuses(t *testing.T) {
	own := testSchema(`{"type":"object"}`, `{}`)
	redefined := own
	redefined.Type = event.TypePing
	broken := own
	broken.Example = []byte(`1`)
	for name, tc := range map[string]struct {
		make func() (*schemas.Set, error)
		want fault.Kind
	}{
		"a later list redefines": {func() (*schemas.Set, error) { return schemas.NewSet(catalog.Schemas(), []schemas.Schema{redefined}) }, fault.Conflict},
		"With redefines":         {func() (*schemas.Set, error) { return catalog.Set().With([]schemas.Schema{redefined}) }, fault.Conflict},
		"twice in one list":      {func() (*schemas.Set, error) { return schemas.NewSet([]schemas.Schema{own, own}) }, fault.Conflict},
		"broken":                 {func() (*schemas.Set, error) { return schemas.NewSet([]schemas.Schema{broken}) }, fault.Invalid},
	} {
		set, err := tc.make()
		if set != nil || !fault.Is(err, tc.want) {
			t.Errorf("%s: %v (%s), want %s", name, err, fault.KindOf(err), tc.want)
		}
		if tc.want == fault.Conflict && !strings.Contains(fault.HintOf(err), ".v2") {
			t.Errorf("%s: hint %q", name, fault.HintOf(err))
		}
	}
}
