package tenants

import (
	"math/bits"
	"strconv"
	"strings"

	"midplane/fault"
)

// Bytes is an amount of data, written "256KiB", "1GiB" or "1048576".
type Bytes int64

var byteUnits = [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}

// String writes it with the largest unit that divides it.
func (b Bytes) String() string {
	value, unit := b.split()
	return strconv.FormatInt(value, 10) + unit
}

// Spaced is String with a space before the unit, for sentences.
func (b Bytes) Spaced() string {
	value, unit := b.split()
	return strconv.FormatInt(value, 10) + " " + unit
}

func (b Bytes) split() (int64, string) {
	n, i := int64(b), 0
	for n != 0 && i < len(byteUnits)-1 && n%1024 == 0 {
		n, i = n/1024, i+1
	}
	return n, byteUnits[i]
}

// MarshalText writes it as String does.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a whole number with a unit of 1024s (KiB, MiB, GiB, TiB,
// PiB) or without one. The error is Invalid.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	digits := strings.TrimRight(s, "BKMGTPikmgtpb")
	unit := s[len(digits):]
	shift := -1
	for i, known := range byteUnits {
		if unit == known || unit == "" && i == 0 {
			shift = 10 * i
		}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
	switch {
	case err != nil:
		return fault.WithHint(fault.New(fault.Invalid, "%q is not an amount of data", clip(s)), `write it like "256KiB", "1GiB" or 1048576`)
	case shift < 0:
		return fault.WithHint(fault.New(fault.Invalid, "%q has the unknown unit %q", clip(s), unit), "B, KiB, MiB, GiB, TiB or PiB (of 1024)")
	case bits.Len64(n)+shift > 63:
		return fault.New(fault.Invalid, "%q is too large", clip(s))
	}
	*b = Bytes(n << shift)
	return nil
}

// clip keeps what is quoted in a message short.
func clip(s string) string {
	r := []rune(s)
	if len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
