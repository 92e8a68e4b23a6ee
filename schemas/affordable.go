package schemas

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"midplane/event"
	"midplane/fault"
)

// maxExpanded is how many subschemas a schema for the library may have once every
// reference is expanded.
const maxExpanded = 10_000

// affordable bounds the time that the library may take for one payload. The
// library tries every branch, so that a few dozen lines of references to
// references double the work at each step, and a recursive schema does so at
// each level of the payload: a single tenant's schema would stop the ingress for
// all tenants. The streaming validator makes one pass for any schema that it
// covers, so such a schema may be recursive.
func affordable(s Schema) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.Schema))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "schema %s", s.Type)
	}
	root, _ := doc.(map[string]any)
	e := expander{t: s.Type, root: root, anchors: map[string]map[string]any{}, size: map[string]int{}, open: map[string]bool{}}
	e.collectAnchors(root)
	e.open["#"] = true
	_, err = e.expand("", root)
	return err
}

type expander struct {
	t       event.Type
	root    map[string]any
	anchors map[string]map[string]any
	size    map[string]int  // of each reference, expanded
	open    map[string]bool // references that are being expanded
}

func (e *expander) collectAnchors(schema map[string]any) {
	if name, ok := schema["$anchor"].(string); ok {
		e.anchors[name] = schema
	}
	below(schema, true, func(_ string, sub any) {
		if m, ok := sub.(map[string]any); ok {
			e.collectAnchors(m)
		}
	})
}

// expand returns how many subschemas v has, expanded.
func (e *expander) expand(at string, v any) (int, error) {
	schema, ok := v.(map[string]any)
	if !ok {
		return 1, nil
	}
	total := 1
	if ref, ok := schema["$ref"].(string); ok {
		n, err := e.reference(at, ref)
		if err != nil {
			return 0, err
		}
		total += n
	}
	var err error
	below(schema, false, func(sub string, v any) {
		if err != nil || total > maxExpanded {
			return
		}
		var n int
		n, err = e.expand(at+sub, v)
		total += n
	})
	if err == nil && total > maxExpanded {
		err = fault.WithHint(invalid(e.t, at, "with its references expanded it has more than %d parts", maxExpanded),
			"use fewer references to references")
	}
	return total, err
}

func (e *expander) reference(at, ref string) (int, error) {
	if n, ok := e.size[ref]; ok {
		return n, nil
	}
	if e.open[ref] {
		return 0, fault.WithHint(invalid(e.t, at, "the schema refers to itself"),
			"recursion is allowed only with the keywords of the streaming validator: without anyOf, oneOf, allOf, not, if and patternProperties")
	}
	e.open[ref] = true
	defer delete(e.open, ref)
	n, err := e.expand(at, e.lookup(ref))
	if err == nil {
		e.size[ref] = n
	}
	return n, err
}

// lookup returns the target of ref. The library has resolved it before; a target
// that lookup does not find (percent-encoded, inside an unknown keyword) counts
// as the whole schema, and so as recursion.
func (e *expander) lookup(ref string) any {
	ref = strings.TrimPrefix(ref, "#")
	if anchor, ok := e.anchors[ref]; ok {
		return anchor
	}
	var v any = e.root
	for _, part := range strings.Split(strings.TrimPrefix(ref, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch in := v.(type) {
		case map[string]any:
			v = in[part]
		case []any:
			if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(in) {
				v = in[i]
			}
		}
		if v == nil {
			return map[string]any{"$ref": "#"}
		}
	}
	return v
}
