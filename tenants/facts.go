package tenants

import (
	"reflect"
	"slices"
	"strings"

	"midplane/api"
)

// Field is one field of a tenant's file and what the reference says of it.
type Field struct {
	Path    string `json:"path"` // "sites[].devices[].address"
	Type    string `json:"type"`
	Default string `json:"default"`
	Allowed string `json:"allowed"`
	Meaning string `json:"meaning"`
}

// Fields lists every field of a tenant's file, in the order of the reference.
func Fields() []Field {
	var out []Field
	var walk func(prefix string, t reflect.Type)
	walk = func(prefix string, t reflect.Type) {
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			at, typ := prefix+name, t.Field(i).Type
			f := facts[at]
			out = append(out, Field{at, typeName(typ), f.def, f.allowed, f.meaning})
			if inner, ok := group(typ); ok {
				if typ.Kind() == reflect.Slice {
					at += "[]"
				}
				walk(at+".", inner)
			}
		}
	}
	walk("", reflect.TypeFor[document]())
	return out
}

// group returns the fields that are inside a field.
func group(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct
}

// typeName is what a value looks like in the file.
func typeName(t reflect.Type) string {
	_, fields := group(t)
	switch {
	case t == rawType:
		return "any value"
	case t == reflect.TypeFor[Bytes]():
		return "size, like 256KiB"
	case t == reflect.TypeFor[api.Duration]():
		return "duration, like 30s or 7d"
	case t.Kind() == reflect.Slice && fields:
		return "list of groups of fields"
	case t.Kind() == reflect.Slice:
		return "list of texts"
	case t.Kind() == reflect.Map:
		return "names with a text each"
	case fields:
		return "group of fields"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	}
	return "number"
}

// Explain returns what is known of a field and of the fields directly inside it.
// path is as in Field, with or without "[]" and with or without "tenant." in
// front; "tenant" or "" is the whole file. ok is false for what is no field;
// near is then the field that was most likely meant, or "".
func Explain(path string) (f Field, inside []Field, near string, ok bool) {
	plain := func(s string) string { return strings.ReplaceAll(s, "[]", "") }
	want := strings.Trim(plain(path), ".")
	if rest, cut := strings.CutPrefix(want, "tenant"); cut && (rest == "" || rest[0] == '.') {
		want = strings.TrimPrefix(rest, ".")
	}
	f = Field{Path: "tenant", Type: "group of fields", Meaning: "one customer of the provider: what is watched, by whom, and how much it may use"}
	prefix := ""
	if want != "" {
		prefix = want + "."
	}
	all := Fields()
	ok = want == ""
	for _, x := range all {
		at := plain(x.Path)
		if at == want {
			f, ok = x, true
		}
		if rest, cut := strings.CutPrefix(at, prefix); cut && !strings.Contains(rest, ".") {
			inside = append(inside, x)
		}
	}
	if ok {
		return f, inside, "", true
	}
	return f, nil, nearField(all, want), false
}

// nearField is the field that ends like a name that is none.
func nearField(all []Field, want string) string {
	last := want[strings.LastIndex(want, ".")+1:]
	i := slices.IndexFunc(all, func(f Field) bool {
		return strings.EqualFold(f.Path[strings.LastIndex(f.Path, ".")+1:], last)
	})
	if i < 0 {
		return ""
	}
	return all[i].Path
}
