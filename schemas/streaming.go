package schemas

import "strconv"

// streaming validates in one pass over the bytes.
type streaming struct{ root *node }

// Validate implements Validator.
func (v *streaming) Validate(payload []byte) *Violation {
	s := scanner{b: payload}
	if bad := s.value(v.root); bad != nil {
		return bad
	}
	return s.ends()
}

// value reads one value and checks it against n, in the library's order: type,
// const, enum and format first, and the other rules only when these hold.
func (s *scanner) value(n *node) *Violation {
	if n.never {
		return falseSchema()
	}
	switch c := s.space(); c {
	case '{':
		if n.types&kObject == 0 {
			return wrongType("object", n.types.String())
		}
		if bad := n.refuseContainer(); bad != nil {
			return bad
		}
		return s.object(n.obj)
	case '[':
		if n.types&kArray == 0 {
			return wrongType("array", n.types.String())
		}
		if bad := n.refuseContainer(); bad != nil {
			return bad
		}
		return s.array(&n.arr)
	case '"':
		return s.stringValue(n)
	case 't':
		return s.literalValue(n, "true", kBoolean, "boolean")
	case 'f':
		return s.literalValue(n, "false", kBoolean, "boolean")
	case 'n':
		return s.literalValue(n, "null", kNull, "null")
	default:
		if c == '-' || c-'0' <= 9 {
			return s.numberValue(n)
		}
		return s.malformed("expected a value")
	}
}

func falseSchema() *Violation {
	return &Violation{Rule: "false", Message: "is not allowed here"}
}

// refuseContainer refuses an object or array where a const or enum of scalars is
// demanded.
func (n *node) refuseContainer() *Violation {
	if len(n.choices) == 0 {
		return nil
	}
	return notAllowed(n.choices[0].rule, n.choices[0].text)
}

func (s *scanner) literalValue(n *node, word string, k kinds, name string) *Violation {
	if bad := s.literal(word); bad != nil {
		return bad
	}
	if n.types&k == 0 {
		return wrongType(name, n.types.String())
	}
	for i := range n.choices {
		c := &n.choices[i]
		if k == kNull && !c.null || word == "true" && !c.yes || word == "false" && !c.no {
			return notAllowed(c.rule, c.text)
		}
	}
	return nil
}

func (s *scanner) stringValue(n *node) *Violation {
	t, bad := s.str()
	if bad != nil {
		return bad
	}
	if n.types&kString == 0 {
		return wrongType("string", n.types.String())
	}
	for i := range n.choices {
		if c := &n.choices[i]; !c.hasString(t.bytes()) {
			return notAllowed(c.rule, c.text)
		}
	}
	return n.str.check(t)
}

func (r *strRules) check(t text) *Violation {
	if r.dateTime && !dateTime(t.bytes()) {
		return mismatch("format", "date-time")
	}
	if r.min > 0 || r.max >= 0 {
		length := t.runes()
		if length < r.min {
			return outside("minLength", strconv.Itoa(r.min))
		}
		if r.max >= 0 && length > r.max {
			return outside("maxLength", strconv.Itoa(r.max))
		}
	}
	if r.pattern != nil && !r.pattern.Match(t.bytes()) {
		return mismatch("pattern", r.pattern.String())
	}
	return nil
}

func (s *scanner) numberValue(n *node) *Violation {
	num, bad := s.number()
	if bad != nil {
		return bad
	}
	if n.types&kNumber == 0 && (n.types&kInteger == 0 || !num.integer()) {
		return wrongType("number", n.types.String())
	}
	for i := range n.choices {
		if c := &n.choices[i]; !c.hasNumber(&num) {
			return notAllowed(c.rule, c.text)
		}
	}
	return n.num.check(&num)
}

func (r *numRules) check(n *number) *Violation {
	if r.minimum != nil && n.cmp(r.minimum) < 0 {
		return outside("minimum", r.minimum.text)
	}
	if r.maximum != nil && n.cmp(r.maximum) > 0 {
		return outside("maximum", r.maximum.text)
	}
	if r.above != nil && n.cmp(r.above) <= 0 {
		return outside("exclusiveMinimum", r.above.text)
	}
	if r.below != nil && n.cmp(r.below) >= 0 {
		return outside("exclusiveMaximum", r.below.text)
	}
	return nil
}

func (s *scanner) array(r *arrRules) *Violation {
	if bad := s.enter(); bad != nil {
		return bad
	}
	items, count := r.items, 0
	if items == nil {
		items = anything
	}
	if s.space() != ']' {
		for {
			if bad := s.value(items); bad != nil {
				return bad.under(strconv.Itoa(count))
			}
			count++
			c := s.space()
			if c == ']' {
				break
			}
			if c != ',' {
				return s.malformed("expected , or ] in an array")
			}
			s.i++
		}
	}
	s.leave()
	if count < r.min {
		return outside("minItems", strconv.Itoa(r.min))
	}
	if r.max >= 0 && count > r.max {
		return outside("maxItems", strconv.Itoa(r.max))
	}
	return nil
}
