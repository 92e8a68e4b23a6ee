// Package catalog holds Midplane's own types: for each, one file with its schema,
// an example and its rendering as one line, and in the folder earlier the versions
// before it. The Go structs of the payloads are in event; a test compares the two.
// It may import schemas and lower packages.
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
		s, err := file(files, entry.Name())
		if err != nil {
			return nil, err
		}
		if want := string(s.Type) + ".json"; entry.Name() != want {
			return nil, fmt.Errorf("%s holds the type %s", entry.Name(), s.Type)
		}
		all = append(all, s)
	}
	return all, nil
}

// file reads one file.
func file(from embed.FS, name string) (s schemas.Schema, err error) {
	data, err := from.ReadFile(name)
	if err != nil {
		return s, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	s.Schema, s.Example = compact(s.Schema), compact(s.Example)
	return s, nil
}

// compact removes the indentation of the file from a value.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw // Set reports what is wrong with it
	}
	return b.Bytes()
}

// Schemas returns Midplane's own types, sorted by type. It panics only when a file
// that we ship is broken; a test proves that none is.
func Schemas() []schemas.Schema {
	all, err := loaded()
	if err != nil {
		panic("catalog: " + err.Error())
	}
	return slices.Clone(all)
}

// Set returns Midplane's own types compiled, once for the whole process. It panics
// as Schemas does. Its method With adds a tenant's types.
func Set() *schemas.Set { return set() }

var set = sync.OnceValue(func() *schemas.Set {
	s, err := schemas.NewSet(Schemas())
	if err != nil {
		panic("catalog: " + err.Error())
	}
	return s
})
