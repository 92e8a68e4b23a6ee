package export

import (
	"io"
	"log/slog"
	"regexp"
	"strings"
	"unicode"
)

// Redacted replaces a secret.
const Redacted = "[redacted]"

// secretWords are words that mark an attribute as a secret when its key has one.
var secretWords = map[string]bool{
	"seed": true, "password": true, "passwd": true, "passphrase": true, "secret": true,
	"token": true, "community": true, "jwt": true, "creds": true, "credential": true,
	"credentials": true, "authorization": true, "cookie": true, "nkey": true, "apikey": true,
}

// harmless are last words of a key that show that the value is no secret itself,
// but the place, the name or the number of secrets.
var harmless = map[string]bool{
	"id": true, "name": true, "file": true, "path": true, "dir": true, "count": true, "kind": true, "ref": true,
}

// redactKey replaces the value of an attribute when its key, or one of the groups
// that it is in, names a secret.
func redactKey(groups []string, a slog.Attr) slog.Attr {
	hide := secretKey(a.Key)
	for _, g := range groups {
		hide = hide || secretKey(g)
	}
	if hide && a.Value.Kind() != slog.KindBool {
		a.Value = slog.StringValue(Redacted)
	}
	return a
}

func secretKey(key string) bool {
	words := wordsOf(key)
	if len(words) == 0 || (len(words) > 1 && harmless[words[len(words)-1]]) {
		return false
	}
	for i, w := range words {
		if secretWords[w] || secretWords[strings.TrimSuffix(w, "s")] || w == "communities" {
			return true
		}
		if w == "key" && i > 0 && (words[i-1] == "private" || words[i-1] == "api" || words[i-1] == "signing") {
			return true
		}
	}
	return false
}

// wordsOf splits "snmpAuthSecret", "snmp.auth_secret" and "SNMP-Auth-Secret"
// into the same three words.
func wordsOf(key string) []string {
	var words []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(key)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])):
			flush()
		case unicode.IsUpper(r) && i > 0 && unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1]):
			flush()
		}
		word = append(word, r)
	}
	flush()
	return words
}

// secretText finds secrets by their form, anywhere in a line: NATS seeds, JWTs,
// private keys, and passwords in URLs.
var secretText = []struct {
	looks *regexp.Regexp
	by    string
}{
	{regexp.MustCompile(`\bS[ACNOPUX][A-Z2-7]{56}\b`), Redacted},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*`), Redacted},
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), Redacted},
	{regexp.MustCompile(`://[^\s/@"'\\]+@`), "://" + Redacted + "@"},
}

// redactor is the last guard before a line is written. It sees the formatted line,
// so that errors, structures and the message itself are covered.
type redactor struct{ to io.Writer }

// Write writes one whole line: slog's handlers call it once for each.
func (r redactor) Write(line []byte) (int, error) {
	clean := line
	for _, s := range secretText {
		if s.looks.Match(clean) {
			clean = s.looks.ReplaceAllLiteral(clean, []byte(s.by))
		}
	}
	if _, err := r.to.Write(clean); err != nil {
		return 0, err
	}
	return len(line), nil
}
