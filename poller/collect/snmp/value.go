package snmp

import (
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/gosnmp/gosnmp"
)

// maxText is the longest text in runes that is kept of what an agent says.
const maxText = 255

// text reads a string. Agents put anything into one: what is not valid UTF-8
// or not printable becomes a space.
func text(v gosnmp.SnmpPDU) string {
	var s string
	switch value := v.Value.(type) {
	case []byte:
		s = string(value)
	case string: // an object id
		s = value
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxText {
		s = string(runes[:maxText])
	}
	return s
}

// number reads any unsigned number; ok is false for what is missing, no number
// or outside the range of its type: the encoding lets an agent send more bits
// than a Gauge32 has.
func number(v gosnmp.SnmpPDU) (n uint64, ok bool) {
	var limit uint64
	switch v.Type {
	case gosnmp.Integer:
		limit = math.MaxInt32
	case gosnmp.Counter32, gosnmp.Gauge32, gosnmp.TimeTicks, gosnmp.Uinteger32:
		limit = math.MaxUint32
	case gosnmp.Counter64:
		limit = math.MaxUint64
	default:
		return 0, false
	}
	if b := gosnmp.ToBigInt(v.Value); b.IsUint64() && b.Uint64() <= limit {
		return b.Uint64(), true
	}
	return 0, false
}

// mac reads a physical address, "" when it is none of 6 or 8 bytes or all zero.
func mac(v gosnmp.SnmpPDU) string {
	b, _ := v.Value.([]byte)
	if len(b) != 6 && len(b) != 8 {
		return ""
	}
	parts := make([]string, len(b))
	var bits byte
	for i, c := range b {
		parts[i] = fmt.Sprintf("%02x", c)
		bits |= c
	}
	if bits == 0 {
		return ""
	}
	return strings.Join(parts, ":")
}
