// Package catalog holds Midplane's own types: for each, one file with its
// schema, an example and its rendering as one line. The Go structs of the
// payloads are in event; a test keeps the two alike. It may import schemas and
// what is below it.
package catalog

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"midplane/schemas"
)

//go:embed *.json
var files embed.FS

var loaded = sync.OnceValues(load)

// load reads every file, sorted by type.
func load() ([]schemas.Schema, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	all := make([]schemas.Schema, 0, len(entries))
	for _, entry := range entries {
		data, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, err
		}
		var s schemas.Schema
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&s); err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		if want := string(s.Type) + ".json"; entry.Name() != want {
			return nil, fmt.Errorf("%s holds the type %s", entry.Name(), s.Type)
		}
		s.Schema, s.Example = compact(s.Schema), compact(s.Example)
		all = append(all, s)
	}
	return all, nil
}

// compact takes the indentation of the file out of a value.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw // Set says what is wrong with it
	}
	return b.Bytes()
}

// Schemas returns Midplane's own types, sorted by type. It panics only when a
// file that we ship is broken; a test proves that none is.
func Schemas() []schemas.Schema {
	all, err := loaded()
	if err != nil {
		panic("catalog: " + err.Error())
	}
	return slices.Clone(all)
}

// Set returns them compiled, once for the whole process. It panics as Schemas
// does. Whoever adds a tenant's types uses its With.
func Set() *schemas.Set { return set() }

var set = sync.OnceValue(func() *schemas.Set {
	s, err := schemas.NewSet(Schemas())
	if err != nil {
		panic("catalog: " + err.Error())
	}
	return s
})
