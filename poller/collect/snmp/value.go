package snmp

import (
	"math"
	"net"
	"slices"
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
	if plain(s) {
		return s
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

// plain reports whether nothing is to be changed of a text.
func plain(s string) bool {
	if len(s) > maxText || s != strings.TrimSpace(s) || strings.Contains(s, "  ") {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
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
	switch value := v.Value.(type) { // the types that the library makes
	case int:
		n, ok = uint64(value), value >= 0
	case uint:
		n, ok = uint64(value), true
	case uint32:
		n, ok = uint64(value), true
	case uint64:
		n, ok = value, true
	default:
		b := gosnmp.ToBigInt(v.Value)
		n, ok = b.Uint64(), b.IsUint64()
	}
	if !ok || n > limit {
		return 0, false
	}
	return n, true
}

// mac reads a physical address, "" when it is none of 6 or 8 bytes or all zero.
func mac(v gosnmp.SnmpPDU) string {
	b, _ := v.Value.([]byte)
	if len(b) != 6 && len(b) != 8 {
		return ""
	}
	if !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
		return ""
	}
	return net.HardwareAddr(b).String()
}
