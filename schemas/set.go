package schemas

import (
	"cmp"
	"maps"
	"slices"

	"midplane/event"
	"midplane/fault"
)

// Entry is a schema with its validator.
type Entry struct {
	Schema    Schema
	Validator Validator
}

// Set holds the types that a tenant's producers may publish. It never changes, so
// that it needs no lock.
type Set struct{ entries map[event.Type]Entry }

// NewSet checks and compiles the schemas of all lists. A type that stands twice is
// a Conflict: a tenant cannot redefine one of Midplane's types. Other errors are
// Invalid.
func NewSet(lists ...[]Schema) (*Set, error) {
	set := &Set{entries: map[event.Type]Entry{}}
	for _, list := range lists {
		if err := set.add(list); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// With returns a set of s and the schemas of extra; errors are those of NewSet. The
// two sets share the validators of s, since hundreds of tenants have one
// catalogue in common.
func (s *Set) With(extra []Schema) (*Set, error) {
	if len(extra) == 0 {
		return s, nil
	}
	set := &Set{entries: maps.Clone(s.entries)}
	if err := set.add(extra); err != nil {
		return nil, err
	}
	return set, nil
}

func (s *Set) add(list []Schema) error {
	for _, schema := range list {
		if _, ok := s.entries[schema.Type]; ok {
			return fault.WithHint(fault.New(fault.Conflict, "type %s is defined already", schema.Type),
				"a new meaning needs a new type or major version, like %s", nextMajor(schema.Type))
		}
		v, err := schema.checked()
		if err != nil {
			return err
		}
		s.entries[schema.Type] = Entry{Schema: schema, Validator: v}
	}
	return nil
}

// Lookup returns the entry of t.
func (s *Set) Lookup(t event.Type) (Entry, bool) {
	e, ok := s.entries[t]
	return e, ok
}

// All returns the schemas, sorted by type.
func (s *Set) All() []Schema {
	all := make([]Schema, 0, len(s.entries))
	for _, e := range s.entries {
		all = append(all, e.Schema)
	}
	slices.SortFunc(all, func(a, b Schema) int { return cmp.Compare(a.Type, b.Type) })
	return all
}
