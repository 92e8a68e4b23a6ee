package enrol

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"midplane/event"
	"midplane/fault"
	"midplane/tenants/account"
)

// A token is four parts with dots between them: the version, the head in
// base64url, and the claims and the signature of the JWT as they are. The head
// is the seed, the pins, tenant, poller and servers, each text behind its
// length, and a checksum of the whole.
const (
	version    = "mpt1"
	jwtHeader  = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ" // {"typ":"JWT","alg":"ed25519-nkey"}
	maxToken   = 8 << 10
	maxServers = 16
	maxPins    = 4
	rawSeed    = 32
)

var coding = base64.RawURLEncoding.Strict()

// Encode returns the token as one word.
func (t Token) Encode() (string, error) {
	if err := t.check(); err != nil {
		return "", err
	}
	parts := strings.Split(t.JWT, ".")
	if len(parts) != 3 || parts[0] != jwtHeader {
		return "", fault.New(fault.Invalid, "token %s: its JWT is of another kind", t.ID)
	}
	raw, err := account.RawSeed(t.Seed)
	if err != nil {
		return "", err
	}
	head := append(append([]byte{}, raw...), byte(len(t.Pins)))
	for _, p := range t.Pins {
		head = append(head, p[:]...)
	}
	for _, s := range append([]string{string(t.Tenant), string(t.Poller)}, t.Servers...) {
		if len(s) > 255 {
			return "", fault.New(fault.Invalid, "%q is too long for a token", s)
		}
		head = append(append(head, byte(len(s))), s...)
	}
	head = binary.BigEndian.AppendUint32(head, checksum(head, parts[1], parts[2]))
	word := strings.Join([]string{version, coding.EncodeToString(head), parts[1], parts[2]}, ".")
	if len(word) > maxToken {
		return "", fault.New(fault.Invalid, "token %s is %d characters long", t.ID, len(word))
	}
	return word, nil
}

func checksum(head []byte, claims, sig string) uint32 {
	sum := crc32.ChecksumIEEE(append([]byte(version), head...))
	return crc32.Update(sum, crc32.IEEETable, []byte(claims+"."+sig))
}

// Parse reads a token. Line breaks and blanks, which pasting adds, do not
// matter; nothing else is forgiven. The error is Invalid, or Denied for a token
// that would be sent over a network without a CA, and never holds the token.
func Parse(text string) (Token, error) {
	word := clean(text)
	parts := strings.Split(word, ".")
	switch {
	case len(word) > maxToken:
		return Token{}, malformed("it is %d characters long", len(word))
	case parts[0] != version:
		return Token{}, malformed("it does not begin with %s.", version)
	case len(parts) != 4:
		return Token{}, malformed("it is cut or has something added")
	}
	head, err := coding.DecodeString(parts[1])
	if err != nil || len(head) < 4 {
		return Token{}, malformed("its first part is damaged")
	}
	body, sum := head[:len(head)-4], binary.BigEndian.Uint32(head[len(head)-4:])
	if checksum(body, parts[2], parts[3]) != sum {
		return Token{}, malformed("it is cut or changed")
	}
	t, err := decode(body)
	if err != nil {
		return Token{}, err
	}
	t.JWT = strings.Join([]string{jwtHeader, parts[2], parts[3]}, ".")
	if err := t.check(); err != nil {
		return Token{}, err
	}
	return t, nil
}

// Looks reports whether a text was meant to be a token.
func Looks(text string) bool { return strings.HasPrefix(clean(text), version+".") }

// decode reads the head.
func decode(b []byte) (t Token, err error) {
	if len(b) < rawSeed+1 {
		return t, malformed("it is too short")
	}
	if t.Seed, err = account.SeedOf(b[:rawSeed]); err != nil {
		return t, err
	}
	pins := int(b[rawSeed])
	b = b[rawSeed+1:]
	if pins > maxPins || len(b) < pins*len(Pin{}) {
		return t, malformed("it names %d fingerprints", pins)
	}
	for range pins {
		t.Pins = append(t.Pins, Pin(b[:len(Pin{})]))
		b = b[len(Pin{}):]
	}
	var texts []string
	for len(b) > 0 {
		n := int(b[0])
		if len(b) < 1+n || len(texts) == maxServers+2 {
			return t, malformed("its names are damaged")
		}
		texts = append(texts, string(b[1:1+n]))
		b = b[1+n:]
	}
	if len(texts) < 3 {
		return t, malformed("it names no server")
	}
	t.Tenant, t.Poller, t.Servers = event.Tenant(texts[0]), event.Producer(texts[1]), texts[2:]
	return t, nil
}

func malformed(format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, "not an enrolment token: "+format, args...), "copy the whole word that `midplane token create` printed")
}
