package schemas

import (
	"math/big"
	"strconv"
)

// number is a number as written in the payload.
type number struct {
	raw      []byte
	negative bool
	zero     bool // 0, -0, 0.00e7, …
	whole    bool // no fraction and no exponent
	fraction bool // a digit other than 0 behind the point
	exponent bool
}

// number reads a number; b[i] is a digit or a minus.
func (s *scanner) number() (number, *Violation) {
	b, i := s.b, s.i
	start := i
	n := number{zero: true, whole: true}
	if i < len(b) && b[i] == '-' {
		n.negative = true
		i++
	}
	first := i
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		n.zero = n.zero && b[i] == '0'
	}
	if i == first || b[first] == '0' && i > first+1 {
		s.i = min(i, first+1)
		return n, s.malformed("expected a value")
	}
	if i < len(b) && b[i] == '.' {
		n.whole = false
		i++
		first = i
		for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
			n.fraction = n.fraction || b[i] != '0'
		}
		if i == first {
			s.i = i
			return n, s.malformed("a digit must follow the point")
		}
		n.zero = n.zero && !n.fraction
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		n.whole, n.exponent = false, true
		s.i = i
		v := s.exponent()
		if v != nil {
			return n, v
		}
		i = s.i
	}
	if i-start > MaxNumber {
		return n, &Violation{Rule: RuleNumber, Message: "is a number of more than " + strconv.Itoa(MaxNumber) + " characters"}
	}
	n.raw, s.i = b[start:i], i
	return n, nil
}

// exponent reads the exponent behind the e at b[i]. A huge one is refused: it is
// cheap to send, and an exact comparison with it would take very long.
func (s *scanner) exponent() *Violation {
	b, i := s.b, s.i+1
	if i < len(b) && (b[i] == '+' || b[i] == '-') {
		i++
	}
	first, value := i, 0
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		value = min(value*10+int(b[i]-'0'), MaxExponent+1)
	}
	s.i = i
	if i == first {
		return s.malformed("a digit must follow the exponent")
	}
	if value > MaxExponent {
		return &Violation{Rule: RuleNumber, Message: "is a number with an exponent beyond " + strconv.Itoa(MaxExponent)}
	}
	return nil
}

// integer reports whether the value is an integer, however it is written: 1.0 and
// 1e3 are integers in draft 2020-12.
func (n *number) integer() bool {
	if n.whole || n.zero || !n.exponent {
		return !n.fraction
	}
	return n.rat().IsInt()
}

func (n *number) rat() *big.Rat {
	r, _ := new(big.Rat).SetString(string(n.raw)) // scanned before, and within the limits
	return r
}

// bound is a number of the schema, prepared for comparison.
type bound struct {
	rat     *big.Rat
	float   float64 // the nearest
	integer int64   // when whole
	whole   bool
	sign    int
	text    string
}

// newBound reads a number that the scanner has accepted.
func newBound(raw string) *bound {
	r, ok := new(big.Rat).SetString(raw)
	if !ok {
		return nil
	}
	b := &bound{rat: r, sign: r.Sign(), text: raw}
	b.float, _ = r.Float64()
	if r.IsInt() && r.Num().IsInt64() {
		b.integer, b.whole = r.Num().Int64(), true
	}
	return b
}

// cmp compares exactly. Rounding to the nearest float64 keeps the order, so two
// different floats decide; equal floats may hide a difference.
func (n *number) cmp(b *bound) int {
	sign := 1
	if n.zero {
		sign = 0
	} else if n.negative {
		sign = -1
	}
	switch {
	case sign < b.sign:
		return -1
	case sign > b.sign:
		return 1
	case sign == 0:
		return 0
	}
	if n.whole && b.whole && len(n.raw) <= 18 {
		return compare(n.small(), b.integer)
	}
	if f, _ := strconv.ParseFloat(string(n.raw), 64); f != b.float {
		return compare(f, b.float)
	}
	return n.rat().Cmp(b.rat)
}

// small returns the value of a whole number of at most 18 characters.
func (n *number) small() int64 {
	digits := n.raw
	if n.negative {
		digits = digits[1:]
	}
	var v int64
	for _, c := range digits {
		v = v*10 + int64(c-'0')
	}
	if n.negative {
		return -v
	}
	return v
}

func compare[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
