package schemas

import "strconv"

// object reads an object and checks it. A key that stands twice is refused: one
// reader takes the first value, another the last, so the value that was checked
// need not be the one that is read.
func (s *scanner) object(r *objRules) *Violation {
	if r == nil {
		r = anyObject
	}
	if bad := s.enter(); bad != nil {
		return bad
	}
	var (
		named   seen
		unnamed keySet
		next    int
		count   int
	)
	if s.space() != '}' {
		for {
			key, bad := s.key()
			if bad != nil {
				return bad
			}
			child, at := r.extra, r.find(key, next)
			if at >= 0 {
				if named[at/64]>>(at%64)&1 == 1 {
					return duplicate(key)
				}
				named[at/64] |= 1 << (at % 64)
				next = at + 1
				child = r.props[at].node
			} else if child != nil && !unnamed.add(key) {
				return duplicate(key)
			}
			if child == nil {
				return unknown(string(key))
			}
			if bad := s.value(child); bad != nil {
				return bad.under(string(key))
			}
			count++
			c := s.space()
			if c == '}' {
				break
			}
			if c != ',' {
				return s.malformed("expected , or } in an object")
			}
			s.i++
		}
	}
	s.leave()
	return r.complete(&named, count)
}

// complete checks the rules that need the whole object.
func (r *objRules) complete(named *seen, count int) *Violation {
	if count < r.min {
		return outside("minProperties", strconv.Itoa(r.min))
	}
	if r.max >= 0 && count > r.max {
		return outside("maxProperties", strconv.Itoa(r.max))
	}
	if name, lacks := r.missing(named); lacks {
		return missing(name)
	}
	return nil
}

// key reads a key and its colon.
func (s *scanner) key() ([]byte, *Violation) {
	if s.space() != '"' {
		return nil, s.malformed("expected a key in quotes")
	}
	t, bad := s.str()
	if bad != nil {
		return nil, bad
	}
	if s.space() != ':' {
		return nil, s.malformed("expected : after a key")
	}
	s.i++
	return t.bytes(), nil
}

func duplicate(key []byte) *Violation {
	return (&Violation{Rule: RuleDuplicate, Message: "stands twice in one object"}).under(string(key))
}
