// Package jsonfields keeps the fields of a newer version's JSON that this version's
// types do not have: it names them, and adds them again when a value is written
// back. It is pure.
package jsonfields

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// Unknown returns the fields of data that v's type does not have, as sorted
// paths ("sites[0].tags"). What cannot be decoded has none.
func Unknown(data []byte, v any) []string {
	out := unknown("", data, reflect.TypeOf(v))
	slices.Sort(out)
	return out
}

func unknown(path string, data []byte, t reflect.Type) (out []string) {
	t = plain(t)
	if opaque(t) {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		known := fields(t)
		for name, raw := range object(data) {
			if field, ok := known[name]; ok {
				out = append(out, unknown(join(path, name), raw, field)...)
			} else {
				out = append(out, join(path, name))
			}
		}
	case reflect.Map:
		for name, raw := range object(data) {
			out = append(out, unknown(join(path, name), raw, t.Elem())...)
		}
	case reflect.Slice, reflect.Array:
		var list []json.RawMessage
		if json.Unmarshal(data, &list) != nil { // bytes, for instance
			return nil
		}
		for i, raw := range list {
			out = append(out, unknown(fmt.Sprintf("%s[%d]", path, i), raw, t.Elem())...)
		}
	}
	return out
}

// Marshal encodes v and adds the fields of was, the value that v takes the place
// of, that v's type does not have: at the top, in objects below it, and in
// those of maps. Elements of lists have no identity: theirs are not kept.
func Marshal(was []byte, v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil || len(was) == 0 {
		return data, err
	}
	return keep(was, data, reflect.TypeOf(v))
}

func keep(was, data []byte, t reflect.Type) ([]byte, error) {
	t = plain(t)
	if opaque(t) || t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return data, nil
	}
	before, now := object(was), object(data)
	if before == nil || now == nil {
		return data, nil
	}
	known := map[string]reflect.Type{}
	if t.Kind() == reflect.Struct {
		known = fields(t)
	}
	changed := false
	for name, old := range before {
		typ, ok := known[name]
		if t.Kind() == reflect.Map {
			typ, ok = t.Elem(), true // an entry that is gone was removed
		}
		new, there := now[name]
		switch {
		case !ok && !there:
			now[name], changed = old, true
		case ok && there:
			merged, err := keep(old, new, typ)
			if err != nil {
				return nil, err
			}
			if len(merged) != len(new) {
				now[name], changed = merged, true
			}
		}
	}
	if !changed {
		return data, nil
	}
	return json.Marshal(now)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func plain(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// opaque reports whether a type decides itself what its JSON is.
func opaque(t reflect.Type) bool {
	if t == nil {
		return true
	}
	p := reflect.PointerTo(t)
	return t.Kind() == reflect.Interface || p.Implements(marshaler) || p.Implements(textMarshaler)
}

// fields returns the fields of a struct by their names in JSON, those of
// embedded structs among them.
func fields(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" || f.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		out[name] = f.Type
	}
	return out
}

func object(data []byte) map[string]json.RawMessage {
	var out map[string]json.RawMessage
	if json.Unmarshal(data, &out) != nil {
		return nil
	}
	return out
}
