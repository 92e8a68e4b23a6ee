package testsnmp

import (
	"slices"
	"strconv"
	"strings"

	"midplane/fault"
)

// oid is an object identifier as numbers, which is how identifiers are ordered.
type oid []uint32

// parseOID reads dotted numbers, with or without a dot in front.
func parseOID(s string) (oid, error) {
	parts := strings.Split(strings.TrimPrefix(s, "."), ".")
	out := make(oid, len(parts))
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%q is no object identifier", s)
		}
		out[i] = uint32(n)
	}
	if len(out) < 2 {
		return nil, fault.New(fault.Invalid, "object identifier %q is too short", s)
	}
	return out, nil
}

func (o oid) compare(other oid) int { return slices.Compare(o, other) }

// parent is the object that o is an instance of, as far as the last number tells.
func (o oid) parent() oid { return o[:len(o)-1] }

func (o oid) startsWith(prefix oid) bool {
	return len(o) >= len(prefix) && slices.Equal(o[:len(prefix)], prefix)
}
