package schemas

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// compiler turns a schema that the library has accepted into nodes. It gives up
// (uncovered) at the first keyword that the streaming validator does not cover.
type compiler struct {
	root *node  // nil when the root is only a reference
	ref  object // the root in that case
	defs object
	made map[string]*node // by name of the definition
	open []string         // definitions that are only a reference and are being followed; "" is the root
}

// uncovered names what the streaming validator does not cover.
type uncovered struct{ what string }

func (u uncovered) Error() string { return "needs the library: " + u.what }

func notCovered(format string, args ...any) error { return uncovered{fmt.Sprintf(format, args...)} }

type object = map[string]json.RawMessage

func compileStreaming(schema []byte) (*streaming, error) {
	c := &compiler{made: map[string]*node{}}
	var obj object
	if json.Unmarshal(schema, &obj) != nil { // true or false
		n, err := c.node(schema)
		return &streaming{root: n}, err
	}
	if raw := obj["$defs"]; raw != nil {
		if err := json.Unmarshal(raw, &c.defs); err != nil {
			return nil, err
		}
	}
	delete(obj, "$defs")
	delete(obj, "$id") // the base of references, all of which are inside
	if _, ok := obj["$ref"]; ok {
		c.ref = obj
		n, err := c.rootReference()
		return &streaming{root: n}, err
	}
	c.root = new(node)
	return &streaming{root: c.root}, c.fill(c.root, obj)
}

// node compiles one subschema. A reference gives the node of its target.
func (c *compiler) node(schema []byte) (*node, error) {
	switch strings.TrimSpace(string(schema)) {
	case "true":
		return anything, nil
	case "false":
		return &node{never: true}, nil
	}
	var obj object
	if err := json.Unmarshal(schema, &obj); err != nil {
		return nil, err
	}
	if _, ok := obj["$ref"]; ok {
		return c.reference(obj)
	}
	n := new(node)
	return n, c.fill(n, obj)
}

// fill compiles obj, which is no reference, into n. Other nodes may refer to n
// already.
func (c *compiler) fill(n *node, obj object) error {
	*n = *anything
	for key, raw := range obj {
		if err := c.keyword(n, key, raw); err != nil {
			return err
		}
	}
	return c.objectRules(n, obj)
}

// reference follows a $ref: "#", or "#/$defs/name" of the root, with only
// annotations beside it.
func (c *compiler) reference(obj object) (*node, error) {
	for key := range obj {
		if key != "$ref" && !slices.Contains(annotations, key) {
			return nil, notCovered("%s beside $ref", key)
		}
	}
	var to string
	if err := json.Unmarshal(obj["$ref"], &to); err != nil {
		return nil, err
	}
	if to == "#" {
		return c.rootReference()
	}
	name, ok := strings.CutPrefix(to, "#/$defs/")
	if !ok || strings.ContainsAny(name, "/~%") || c.defs[name] == nil {
		return nil, notCovered("$ref %q", to)
	}
	return c.definition(name)
}

func (c *compiler) rootReference() (*node, error) {
	if c.root != nil {
		return c.root, nil
	}
	if slices.Contains(c.open, "") {
		return nil, notCovered("$ref to the root in a circle")
	}
	c.open = append(c.open, "")
	n, err := c.reference(c.ref)
	c.open = c.open[:len(c.open)-1]
	return n, err
}

// definition compiles a definition once. A definition that uses itself inside a
// property or item gets its own, unfinished node there; one that is only a
// reference back to itself has no meaning.
func (c *compiler) definition(name string) (*node, error) {
	if n := c.made[name]; n != nil {
		return n, nil
	}
	if slices.Contains(c.open, name) {
		return nil, notCovered("$ref to %s in a circle", name)
	}
	var obj object
	if json.Unmarshal(c.defs[name], &obj) != nil { // true or false
		n, err := c.node(c.defs[name])
		c.made[name] = n
		return n, err
	}
	if _, ok := obj["$ref"]; ok {
		c.open = append(c.open, name)
		n, err := c.reference(obj)
		c.open = c.open[:len(c.open)-1]
		c.made[name] = n
		return n, err
	}
	n := new(node)
	c.made[name] = n
	open := c.open
	c.open = nil
	err := c.fill(n, obj)
	c.open = open
	return n, err
}

var annotations = []string{"$schema", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}

func (c *compiler) keyword(n *node, key string, raw json.RawMessage) error {
	var err error
	switch key {
	case "type":
		n.types, err = typesOf(raw)
	case "const":
		err = n.choose("const", []json.RawMessage{raw})
	case "enum":
		var values []json.RawMessage
		if err = json.Unmarshal(raw, &values); err == nil {
			err = n.choose("enum", values)
		}
	case "minLength":
		n.str.min, err = count(raw)
	case "maxLength":
		n.str.max, err = count(raw)
	case "pattern":
		var p string
		if err = json.Unmarshal(raw, &p); err == nil {
			n.str.pattern, err = regexp.Compile(p)
		}
	case "format":
		if string(raw) != `"date-time"` {
			return notCovered("format %s", raw)
		}
		n.str.dateTime = true
	case "minimum":
		n.num.minimum = newBound(string(raw))
	case "maximum":
		n.num.maximum = newBound(string(raw))
	case "exclusiveMinimum":
		n.num.above = newBound(string(raw))
	case "exclusiveMaximum":
		n.num.below = newBound(string(raw))
	case "minItems":
		n.arr.min, err = count(raw)
	case "maxItems":
		n.arr.max, err = count(raw)
	case "items":
		n.arr.items, err = c.node(raw)
	case "properties", "required", "additionalProperties", "minProperties", "maxProperties": // objectRules
	default:
		if !slices.Contains(annotations, key) {
			return notCovered("keyword %q", key)
		}
	}
	return err
}
