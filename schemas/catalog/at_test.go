package catalog_test

import (
	"testing"

	"midplane/event"
	"midplane/schemas/catalog"
)

// While two versions run side by side, the doors of both take the same.
func TestTypesAtALevel(t *testing.T) {
	byANewCollector := []byte(`{"device":"r1","status":"up","method":"dns"}`)
	for name, tt := range map[string]struct {
		takes   map[event.Type]int
		version int
		taken   bool
	}{
		"before the upgrade is ended": {nil, 1, false},
		"the level of another type":   {map[event.Type]int{event.TypePing: 7}, 1, false},
		"the present level":           {catalog.Versions(), 2, true},
		"a later level":               {map[event.Type]int{event.TypeReachability: 9}, 2, true},
	} {
		set := catalog.At(tt.takes)
		entry, ok := set.Lookup(event.TypeReachability)
		if !ok || entry.Schema.Version != tt.version || (entry.Validator.Validate(byANewCollector) == nil) != tt.taken {
			t.Errorf("%s: version %d, %v", name, entry.Schema.Version, entry.Validator.Validate(byANewCollector))
		}
		if len(set.All()) != len(catalog.Schemas()) {
			t.Errorf("%s: %d types of %d", name, len(set.All()), len(catalog.Schemas()))
		}
		if catalog.At(tt.takes) != set {
			t.Errorf("%s: made twice", name)
		}
	}
	if catalog.At(catalog.Versions()) != catalog.Set() {
		t.Error("the present level is a set of its own")
	}
}
