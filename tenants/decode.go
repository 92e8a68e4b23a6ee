package tenants

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"midplane/fault"
)

// rawJSON is any YAML value, turned into JSON.
type rawJSON json.RawMessage

// decoder fills a Go value from a tree. Unlike the library's own it goes on
// after a mistake, knows the place of every field, refuses what makes YAML
// surprising (aliases, tags, merge keys), and never repeats a value that may
// be a secret.
type decoder struct{ *source }

var (
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
	rawType  = reflect.TypeFor[rawJSON]()
)

// value decodes node into v. at is where the field is named; depth bounds
// nesting made by indentation.
func (d decoder) value(node ast.Node, v reflect.Value, path string, depth int) {
	if _, seen := d.values[path]; !seen && node != nil {
		d.values[path] = placeOf(first(node))
	}
	switch {
	case depth > maxDepth:
		d.bad(node, path, "", "nested more than %d deep", maxDepth)
	case node == nil || node.Type() == ast.NullType || node.Type() == ast.CommentType:
		// "devices:" with nothing behind it is as good as left out
	case !d.plain(node, path):
	case v.Type() == rawType:
		d.raw(node, v, path, depth)
	case v.Kind() == reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(node, p.Elem(), path, depth)
		v.Set(p)
	case v.CanAddr() && v.Addr().Type().Implements(textType):
		d.text(node, v.Addr().Interface().(encoding.TextUnmarshaler), path)
	case v.Kind() == reflect.Struct:
		d.object(node, v, path, depth)
	case v.Kind() == reflect.Slice:
		d.list(node, v, path, depth)
	case v.Kind() == reflect.Map:
		d.params(node, v, path)
	default:
		d.scalar(node, v, path)
	}
}

func (d decoder) bad(node ast.Node, path, hint, format string, args ...any) {
	d.add(placeOf(first(node)), path, hint, format, args...)
}

// plain refuses aliases, anchors and tags anywhere.
func (d decoder) plain(node ast.Node, path string) bool {
	switch node.Type() {
	case ast.AliasType, ast.AnchorType, ast.MergeKeyType:
		d.bad(node, path, "write the value out", "anchors, aliases and merge keys are not allowed here")
	case ast.TagType:
		d.bad(node, path, "leave the tag out", "tags are not allowed here")
	default:
		return true
	}
	return false
}

// entries returns the pairs of a mapping.
func entries(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// each calls f for every pair of a mapping whose name is good and new.
func (d decoder) each(node ast.Node, path string, f func(name, path string, kv *ast.MappingValueNode)) {
	pairs, ok := entries(node)
	if !ok {
		d.bad(node, path, "", "want fields (name: value), this is %s", describe(node))
		return
	}
	seen := map[string]place{}
	for _, kv := range pairs {
		name, ok := keyName(kv.Key)
		at := placeOf(kv.Key.GetToken())
		if !ok {
			d.add(at, path, "no anchors, aliases, merge keys or lists as names", "a field's name must be plain text")
			continue
		}
		sub := name
		if path != "" {
			sub = path + "." + name
		}
		if was, twice := seen[name]; twice {
			d.add(at, sub, "keep one of the two", "field %q is given twice, first in line %d", clip(name), was.line)
			continue
		}
		seen[name] = at
		d.keys[sub] = at
		f(name, sub, kv)
	}
}

func keyName(key ast.MapKeyNode) (string, bool) {
	switch k := key.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return key.GetToken().Value, true
	}
	return "", false
}

// shared are fields that people who know NATS look for.
var shared = map[string]bool{"imports": true, "exports": true, "import": true, "export": true, "mappings": true}

func (d decoder) object(node ast.Node, v reflect.Value, path string, depth int) {
	fields := fieldsOf(v.Type())
	d.each(node, path, func(name, sub string, kv *ast.MappingValueNode) {
		i, known := fields.index[name]
		if !known {
			best := closest(name, fields.names)
			d.meant[strings.TrimSuffix(sub, name)+best] = true
			hint := fields.suggest(best)
			if shared[name] {
				hint = "tenants share nothing: what an account imports and exports is not for a file to say"
			}
			d.add(d.keys[sub], sub, hint, "unknown field %q", clip(name))
			return
		}
		d.value(kv.Value, v.Field(i), sub, depth+1)
	})
}

func (d decoder) list(node ast.Node, v reflect.Value, path string, depth int) {
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		d.bad(node, path, "begin every item with \"- \", or write [one, two]", "want a list, this is %s", describe(node))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		sub := path + "[" + strconv.Itoa(i) + "]"
		if item == nil || item.Type() == ast.NullType {
			at := d.find(path, false)
			if tk := first(item); tk != nil {
				at = placeOf(tk)
			}
			d.add(at, sub, "remove the \"-\" or write something behind it", "item %d of the list is empty", i+1)
			continue
		}
		d.value(item, out.Index(i), sub, depth+1)
	}
	v.Set(out)
}

// params decodes a map of names to short texts.
func (d decoder) params(node ast.Node, v reflect.Value, path string) {
	out := reflect.MakeMap(v.Type())
	d.each(node, path, func(name, sub string, kv *ast.MappingValueNode) {
		d.values[sub] = placeOf(first(kv.Value))
		if !d.plain(kv.Value, sub) {
			return
		}
		text, ok := textOf(kv.Value, true)
		if !ok {
			d.add(d.keys[sub], sub, "", "parameter %q wants text or a number, this is %s", clip(name), describe(kv.Value))
			return
		}
		out.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(text))
	})
	v.Set(out)
}

func (d decoder) text(node ast.Node, into encoding.TextUnmarshaler, path string) {
	s, ok := textOf(node, false)
	if !ok {
		d.bad(node, path, "", "want text, this is %s", describe(node))
		return
	}
	if err := into.UnmarshalText([]byte(s)); err != nil {
		d.bad(node, path, fault.HintOf(err), "%s", err.Error())
	}
}

func (d decoder) scalar(node ast.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		s, ok := textOf(node, false)
		if !ok {
			d.bad(node, path, "put it in quotes if text is meant", "want text, this is %s", describe(node))
			return
		}
		v.SetString(s)
	case reflect.Bool:
		b, ok := node.(*ast.BoolNode)
		if !ok {
			d.bad(node, path, "without quotes", "want true or false, this is %s", describe(node))
			return
		}
		v.SetBool(b.Value)
	case reflect.Int:
		n, ok := node.(*ast.IntegerNode)
		if !ok {
			d.bad(node, path, "digits, without quotes", "want a whole number, this is %s", describe(node))
			return
		}
		i, err := strconv.ParseInt(strings.ReplaceAll(n.GetToken().Value, "_", ""), 10, 32)
		if err != nil {
			d.bad(node, path, "write it with decimal digits", "%s is not a whole number in range", clip(n.GetToken().Value))
			return
		}
		v.SetInt(i)
	default:
		panic("a spec has a field of kind " + v.Kind().String()) // a mistake in this package's types
	}
}
