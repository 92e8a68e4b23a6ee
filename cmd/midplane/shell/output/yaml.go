package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// toYAML writes JSON as YAML, in the same order. A text that cannot stand as it is, or
// has hostile characters, is quoted, and these are written as their numbers.
func toYAML(data []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := ordered(d)
	if err != nil {
		return nil, err
	}
	return yaml.MarshalWithOptions(v, yaml.CustomMarshaler[string](func(s string) ([]byte, error) { return scalar(s) }))
}

// ordered reads one JSON value; the fields of an object keep their order.
func ordered(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Number:
		return number(string(t))
	case json.Delim:
		if t == '[' {
			list := []any{}
			for d.More() {
				v, err := ordered(d)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			return list, closed(d)
		}
		fields := yaml.MapSlice{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := ordered(d)
			if err != nil {
				return nil, err
			}
			fields = append(fields, yaml.MapItem{Key: name(key.(string)), Value: v})
		}
		return fields, closed(d)
	}
	return t, nil
}

func closed(d *json.Decoder) error {
	_, err := d.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func number(s string) (any, error) {
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return u, nil
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, nil
	}
	return strconv.ParseFloat(s, 64)
}

// name is a field's name: the library quotes what is no plain word, but not all that
// should be.
func name(s string) string {
	if stands(s) {
		return s
	}
	return strings.Trim(quoted(s), `"`)
}

// scalar is a text as YAML.
func scalar(s string) ([]byte, error) {
	if stands(s) {
		return yaml.Marshal(s)
	}
	return []byte(quoted(s)), nil
}

// stands reports whether a text can be left to the library.
func stands(s string) bool {
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return true
	}
	if strings.IndexFunc(s, hostile) >= 0 {
		return false
	}
	var back string
	data, err := yaml.Marshal(s)
	return err == nil && yaml.Unmarshal(data, &back) == nil && back == s
}

// plain are the characters of most texts; what is made of them only is not looked at
// twice.
func plain(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(" ._/:-", r)
}

// quoted is a text between double quotes, in which every character may stand.
func quoted(s string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteRune('\\')
			out.WriteRune(r)
		case r == '\n' || r == '\t' || hostile(r):
			fmt.Fprintf(&out, `\U%08x`, r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}
