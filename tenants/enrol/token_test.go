package enrol

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/fault"
	"midplane/tenants/account"
)

var word = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// sample is a token as the control plane would have it made.
func sample(t testing.TB, id string, change func(*Token)) Token {
	t.Helper()
	keys, err := account.NewKeys(account.EnrolRoles)
	if err != nil {
		t.Fatal(err)
	}
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	jwt, err := account.IssueUser(keys, account.RoleToken, account.User{Name: id, Key: key, Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	tok := Token{Tenant: "acme", Poller: "syd-01", Servers: []string{"tls://n1.example:4222", "tls://[2001:db8::1]:4222"}, Pins: []Pin{{1, 2, 3}}, JWT: jwt, Seed: seed, ID: id, Expires: expires}
	if change != nil {
		change(&tok)
	}
	return tok
}

func TestTokenRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*Token){
		"pinned":   nil,
		"two pins": func(t *Token) { t.Pins = append(t.Pins, Pin{9}) },
		"loopback": func(t *Token) {
			t.Pins, t.Servers = nil, []string{"nats://127.0.0.1:4222", "nats://localhost:4223", "nats://[::1]:4224"}
		},
	} {
		tok := sample(t, "t0123456789", change)
		text, err := tok.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !word.MatchString(text) {
			t.Errorf("%s: not one word: %q", name, text)
		}
		t.Logf("%s: %d characters", name, len(text))
		for how, pasted := range map[string]string{"as it is": text, "with line breaks": " " + text[:50] + "\r\n" + text[50:90] + "\n\t" + text[90:] + "\n"} {
			got, err := Parse(pasted)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, how, err)
			}
			if d := cmp.Diff(tok, got); d != "" {
				t.Errorf("%s, %s: %s", name, how, d)
			}
		}
	}
}

func TestTokenIsNeverPrinted(t *testing.T) {
	tok := sample(t, "t1", nil)
	text, err := tok.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprint(tok), fmt.Sprintf("%v %+v %#v %s", tok, tok, tok, tok)} {
		if strings.Contains(shown, string(tok.Seed)) || strings.Contains(shown, tok.JWT) {
			t.Errorf("shown: %s", shown)
		}
	}
	for i := range len(text) {
		if _, err := Parse(text[:i]); err != nil && i > 12 && strings.Contains(err.Error(), text[6:12]) {
			t.Fatalf("the error holds the token: %v", err)
		}
	}
}

// One wrong character anywhere, or a part that is missing, is found.
func TestParseIsStrict(t *testing.T) {
	text, err := sample(t, "t1", nil).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(text) {
		for _, c := range []byte("A.z") {
			if text[i] == c {
				continue
			}
			if _, err := Parse(text[:i] + string(c) + text[i+1:]); !fault.Is(err, fault.Invalid) {
				t.Fatalf("character %d is %c: %v", i, c, err)
			}
		}
		if _, err := Parse(text[:i]); !fault.Is(err, fault.Invalid) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	for _, bad := range []string{"", " ", ".", "...", version, version + "...", text + "A", text + ".", text + "." + text, text + "=", "mpt2" + text[4:], strings.Repeat(text, 20), "Bearer " + text, "-" + text} {
		if _, err := Parse(bad); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("%.30q: %v", bad, err)
		}
	}
}

// Parts that do not belong together make no token.
func TestEncodeRefuses(t *testing.T) {
	other := sample(t, "t2", nil)
	for name, change := range map[string]func(*Token){
		"no server":              func(t *Token) { t.Servers = nil },
		"plain text, pinned":     func(t *Token) { t.Servers = []string{"nats://n1.example:4222"} },
		"TLS without a pin":      func(t *Token) { t.Servers, t.Pins = []string{"tls://127.0.0.1:4222"}, nil },
		"far away without a pin": func(t *Token) { t.Servers, t.Pins = []string{"nats://n1.example:4222"}, nil },
		"an address of all":      func(t *Token) { t.Servers, t.Pins = []string{"nats://0.0.0.0:4222"}, nil },
		"a name like loopback":   func(t *Token) { t.Servers, t.Pins = []string{"nats://127.0.0.1.example:4222"}, nil },
		"a password":             func(t *Token) { t.Servers = []string{"tls://a:b@n1.example:4222"} },
		"a path":                 func(t *Token) { t.Servers = []string{"tls://n1.example:4222/x"} },
		"two in one":             func(t *Token) { t.Servers = []string{"tls://n1.example:4222,tls://n2.example:4222"} },
		"no port":                func(t *Token) { t.Servers = []string{"tls://n1.example"} },
		"another's seed":         func(t *Token) { t.Seed = other.Seed },
		"no seed":                func(t *Token) { t.Seed = nil },
		"no JWT":                 func(t *Token) { t.JWT = "" },
		"a tenant *":             func(t *Token) { t.Tenant = "*" },
		"a poller a.b":           func(t *Token) { t.Poller = "a.b" },
		"a system's name":        func(t *Token) { t.Poller = "midplane-x" },
	} {
		if _, err := sample(t, "t1", change).Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, change := range []func(*Token){nil, func(t *Token) { t.Pins, t.Servers = nil, []string{"nats://127.0.0.1:4222"} }} {
		text, err := sample(f, "t1", change).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(text[:len(text)/2])
	}
	f.Add("mpt1.AAAA.e30.AA")
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := Parse(text)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.Denied {
				t.Fatalf("class %s: %v", k, err)
			}
			return
		}
		back, err := tok.Encode()
		if err != nil || back != clean(text) {
			t.Fatalf("read and written is something else: %v", err)
		}
	})
}

// FuzzHead reaches what a checksum keeps FuzzParse from.
func FuzzHead(f *testing.F) {
	f.Add([]byte("01234567890123456789012345678901\x00\x04acme\x06syd-01\x15nats://127.0.0.1:4222"))
	f.Fuzz(func(t *testing.T, head []byte) {
		tok, err := decode(head)
		if err == nil && (len(tok.Pins) > maxPins || len(tok.Servers) > maxServers || len(tok.Servers) == 0) {
			t.Fatalf("%d pins, %d servers", len(tok.Pins), len(tok.Servers))
		}
	})
}
