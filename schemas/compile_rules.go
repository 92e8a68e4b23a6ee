package schemas

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
)

// maxCount is the largest minLength, maxItems and so on.
const maxCount = 1 << 31

// count reads the number of a keyword like maxItems; 3.0 counts as 3.
func count(raw json.RawMessage) (int, error) {
	r, ok := new(big.Rat).SetString(string(raw))
	if !ok || !r.IsInt() || r.Sign() < 0 || r.Cmp(big.NewRat(maxCount, 1)) > 0 {
		return 0, notCovered("the count %s", raw)
	}
	return int(r.Num().Int64()), nil
}

func typesOf(raw json.RawMessage) (kinds, error) {
	var names []string
	if json.Unmarshal(raw, &names) != nil {
		var one string
		if err := json.Unmarshal(raw, &one); err != nil {
			return 0, err
		}
		names = []string{one}
	}
	var k kinds
	for _, name := range names {
		for _, known := range kindNames {
			if known.name == name {
				k |= known.kind
			}
		}
	}
	return k, nil
}

// manyStrings is the number from which a lookup is faster than comparing one by one.
const manyStrings = 8

func (n *node) choose(rule string, values []json.RawMessage) error {
	c := choice{rule: rule}
	texts := make([]string, 0, len(values))
	for _, raw := range values {
		switch raw[0] {
		case '{', '[':
			return notCovered("%s of objects or arrays", rule)
		case 't':
			c.yes = true
		case 'f':
			c.no = true
		case 'n':
			c.null = true
		case '"':
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return err
			}
			c.strings = append(c.strings, s)
		default:
			c.numbers = append(c.numbers, newBound(string(raw)))
		}
		texts = append(texts, string(raw))
	}
	if len(c.strings) > manyStrings {
		c.index = make(map[string]struct{}, len(c.strings))
		for _, s := range c.strings {
			c.index[s] = struct{}{}
		}
	}
	c.text = choiceText(texts)
	if rule == "const" { // the library checks it first
		n.choices = append([]choice{c}, n.choices...)
	} else {
		n.choices = append(n.choices, c)
	}
	return nil
}

func choiceText(values []string) string {
	if len(values) == 0 {
		return "nothing at all"
	}
	return strings.Join(values, " or ")
}

// objectRules compiles the keywords of objects, which depend on one another.
func (c *compiler) objectRules(n *node, obj object) error {
	o := &objRules{min: -1, max: -1, extra: anything, index: map[string]int{}}
	ruled := false
	for _, key := range []string{"properties", "required", "additionalProperties", "minProperties", "maxProperties"} {
		ruled = ruled || obj[key] != nil
	}
	if !ruled {
		return nil
	}
	n.obj = o
	var err error
	if raw := obj["minProperties"]; raw != nil {
		if o.min, err = count(raw); err != nil {
			return err
		}
	}
	if raw := obj["maxProperties"]; raw != nil {
		if o.max, err = count(raw); err != nil {
			return err
		}
	}
	if raw := obj["additionalProperties"]; raw != nil {
		if o.extra, err = c.node(raw); err != nil {
			return err
		}
		if o.extra.never && string(raw) == "false" {
			o.extra = nil
		}
	}
	if err := c.properties(o, obj["properties"]); err != nil {
		return err
	}
	return o.require(obj["required"])
}

func (c *compiler) properties(o *objRules, raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var schemas object
	if err := json.Unmarshal(raw, &schemas); err != nil {
		return err
	}
	for _, name := range keysInOrder(raw) {
		n, err := c.node(schemas[name])
		if err != nil {
			return err
		}
		if err := o.add(name, n); err != nil {
			return err
		}
	}
	return nil
}

// require marks the required properties. A property that "properties" does not
// name gets a place of its own, under the rule for additional properties.
func (o *objRules) require(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var names []string
	if err := json.Unmarshal(raw, &names); err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := o.index[name]; !ok {
			if err := o.add(name, o.extra); err != nil {
				return err
			}
		}
		at := o.index[name]
		o.required[at/64] |= 1 << (at % 64)
	}
	return nil
}

func (o *objRules) add(name string, n *node) error {
	if len(o.props) == maxProps {
		return notCovered("more than %d properties", maxProps)
	}
	o.index[name] = len(o.props)
	o.props = append(o.props, property{name: name, node: n})
	o.words = (len(o.props) + 63) / 64
	return nil
}

// keysInOrder returns the keys of a JSON object in the order of the text.
func keysInOrder(raw json.RawMessage) []string {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil { // the opening brace
		return nil
	}
	var keys []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return keys
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return keys
		}
		keys = append(keys, key.(string)) // the grammar allows nothing else
	}
	return keys
}
