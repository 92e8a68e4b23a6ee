package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"

	"midplane/fault"
)

// A second factor is a code of RFC 6238: six digits, SHA-1, 30 seconds, which
// is what every authenticator app speaks.
const (
	codeStep   = 30 * time.Second
	codeDigits = 6
	codeDrift  = 1 // steps that a clock may be off, either way
)

var base32Plain = base32.StdEncoding.WithPadding(base32.NoPadding)

// codeAt is the code of a step.
func codeAt(key []byte, step int64) string {
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, step) // a hash takes everything
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[at:at+4]) & 0x7fffffff
	return fmt.Sprintf("%0*d", codeDigits, n%1_000_000)
}

// stepOf returns the step that a code is of, 0 for none. Steps up to used are
// spent: a code is good once.
func stepOf(secret, code string, now time.Time, used int64) int64 {
	key, err := base32Plain.DecodeString(secret)
	if err != nil || len(key) == 0 {
		return 0
	}
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	at, found := now.Unix()/int64(codeStep/time.Second), int64(0)
	for step := at - codeDrift; step <= at+codeDrift; step++ {
		if subtle.ConstantTimeCompare([]byte(codeAt(key, step)), []byte(code)) == 1 && step > used {
			found = step
		}
	}
	return found
}

// Factor is a new second factor. It is shown once, to be put into an
// authenticator app.
type Factor struct {
	Secret string `json:"secret"`
	URL    string `json:"url"` // otpauth://, for a QR code
}

// SetFactor gives a person a second factor, another one when there was one, and
// ends their sessions.
func (s *Store) SetFactor(name string) (Factor, error) {
	key := make([]byte, 20)
	_, _ = rand.Read(key) // never fails
	f := Factor{Secret: base32Plain.EncodeToString(key)}
	q := url.Values{"secret": {f.Secret}, "issuer": {"Midplane"}}
	f.URL = (&url.URL{Scheme: "otpauth", Host: "totp", Path: "/Midplane:" + name, RawQuery: q.Encode()}).String()
	return f, s.factor(name, f.Secret, "user.mfa.set")
}

// DropFactor takes a person's second factor away and ends their sessions.
func (s *Store) DropFactor(name string) error { return s.factor(name, "", "user.mfa.drop") }

func (s *Store) factor(name, secret, verb string) error {
	return s.change(func(b *book) error {
		for i := range b.Users {
			u := &b.Users[i]
			if u.Name != name {
				continue
			}
			if secret == "" && u.Factor == "" {
				return fault.New(fault.NotFound, "user %s has no second factor", name)
			}
			u.Factor, u.MFA, u.Generation = secret, secret != "", handle()
			b.note(s.now(), verb, name, "", "")
			return nil
		}
		return noUser(name)
	})
}
