package access

import (
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"midplane/fault"
)

// Bounds of a password: in characters, and in bytes.
const (
	MinPassword = 12
	MaxPassword = 256
)

// cost is how much work one try is. OWASP asks for 19 MiB and two passes at
// least.
type cost struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
}

var standard = cost{memory: 46 << 10, passes: 2, lanes: 1}

// hash returns the password's argon2id hash in the common text form.
func (c cost) hash(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	sum := argon2.IDKey([]byte(password), salt, c.passes, c.memory, c.lanes, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.passes, c.lanes, b64(salt), b64(sum))
}

// matches reports whether a hash, made at any cost, is that of password.
func matches(hash, password string) bool {
	var version int
	var c cost
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.memory, &c.passes, &c.lanes); err != nil || c.memory > 1<<20 || c.passes == 0 || c.passes > 100 || c.lanes == 0 {
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) < 16 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, c.passes, c.memory, c.lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// common are words that common passwords are made of, one a line, lower case.
//
//go:embed common.txt
var common string

// CheckPassword refuses a password that is short or easily guessed. It says
// nothing of the password in its error.
func CheckPassword(user, password string) error {
	n := utf8.RuneCountInString(password)
	weak := func(why string) error {
		return fault.WithHint(fault.New(fault.Invalid, "the password %s", why), "four words that have nothing to do with each other are easy to remember and hard to guess")
	}
	switch {
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		return weak("has a character that cannot be typed")
	case n < MinPassword:
		return weak(fmt.Sprintf("has %d characters, and at least %d are needed", n, MinPassword))
	case len(password) > MaxPassword:
		return weak(fmt.Sprintf("has more than %d bytes", MaxPassword))
	}
	rest := plainLetters(password)
	for _, word := range append(strings.Fields(common), user, "midplane") {
		rest = strings.ReplaceAll(rest, plainLetters(word), "\x00")
	}
	// What a common word, a run or a repetition replaces counts as one character.
	if variety(rest) < MinPassword/2 {
		return weak("is on the list of common ones, or made of such words, of your name, of runs or of repetitions")
	}
	return nil
}

var leet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

func plainLetters(s string) string { return leet.Replace(strings.ToLower(s)) }

// variety counts characters that do not follow from the ones before them: a
// step up, a step down, the same again, or a repetition of the last two to four.
func variety(s string) int {
	runes := []rune(s)
	n := 0
	for i, r := range runes {
		follows := false
		if i > 0 {
			step := r - runes[i-1]
			follows = step >= -1 && step <= 1
		}
		for period := 2; period <= 4 && !follows; period++ {
			follows = i >= period && runes[i-period] == r
		}
		if !follows {
			n++
		}
	}
	return n
}
