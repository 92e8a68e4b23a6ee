package subject

import (
	"strings"

	"midplane/event"
	"midplane/fault"
)

const hexDigits = "0123456789ABCDEF"

// plain reports whether b may stand for itself in an encoded entity. Dots would
// split the token, "*" and ">" are wildcards, and a slash in an id must not look
// like one of ours to a person who searches for it.
func plain(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_'
}

// EncodeEntity turns an entity id into one subject token: letters, digits,
// "-" and "_" stand for themselves, every other byte is %XX. One id has
// exactly one encoding. It does not check the id; event.CheckEntity does.
func EncodeEntity(e event.Entity) string {
	var b strings.Builder
	b.Grow(len(e) + 8)
	for i := 0; i < len(e); i++ {
		if c := e[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// DecodeEntity is the inverse of EncodeEntity. A token that EncodeEntity would not
// have produced is Invalid, so that an entity never has two tokens.
func DecodeEntity(token string) (event.Entity, error) {
	if strings.IndexByte(token, '%') < 0 {
		for i := 0; i < len(token); i++ {
			if !plain(token[i]) {
				return "", badEntity(token)
			}
		}
		return event.Entity(token), event.CheckEntity(event.Entity(token))
	}
	out := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c != '%' {
			if !plain(c) {
				return "", badEntity(token)
			}
			out = append(out, c)
			continue
		}
		if i+2 >= len(token) {
			return "", badEntity(token)
		}
		hi, lo := strings.IndexByte(hexDigits, token[i+1]), strings.IndexByte(hexDigits, token[i+2])
		if hi < 0 || lo < 0 || plain(byte(hi<<4|lo)) {
			return "", badEntity(token)
		}
		out = append(out, byte(hi<<4|lo))
		i += 2
	}
	return event.Entity(out), event.CheckEntity(event.Entity(out))
}

func badEntity(token string) error {
	return fault.WithHint(fault.New(fault.Invalid, "%q is not an encoded entity", token),
		"letters, digits, - and _ stand for themselves, every other byte is %%XX with upper-case digits")
}
