package access

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"midplane/fault"
)

const good = "tall heron reads maps"

// clock is a time that only the test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) forward(d time.Duration) { c.at.Add(int64(d)) }

// newKeeper returns a keeper whose passwords cost next to nothing, or what they
// really cost.
func newKeeper(t *testing.T, real ...cost) (*Store, *Keeper, *clock) {
	t.Helper()
	s, err := Open(Folder(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	c := newClock()
	s.now, s.cost = c.now, cost{memory: 64, passes: 1, lanes: 1}
	for _, r := range real {
		s.cost = r
	}
	return s, NewKeeper(s, Config{Now: c.now}), c
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func login(t *testing.T, k *Keeper, name, password string, try Try) (string, Identity) {
	t.Helper()
	text, who, err := k.Login(context.Background(), Credentials{User: name, Password: password}, try)
	check(t, err)
	return text, who
}

func TestUsersAreKeptSafely(t *testing.T) {
	s, k, _ := newKeeper(t, standard)
	check(t, s.AddUser("ann", Admin, "", good))
	check(t, s.AddUser("vic", Viewer, "acme", good))
	info, err := os.Stat(filepath.Join(s.dir, bookFile))
	check(t, err)
	data, err := os.ReadFile(filepath.Join(s.dir, bookFile))
	check(t, err)
	if info.Mode().Perm() != 0o600 || strings.Contains(string(data), good) || !strings.Contains(string(data), "$argon2id$v=19$m=47104,t=2,p=1$") {
		t.Errorf("mode %v:\n%s", info.Mode(), data)
	}
	_, who := login(t, k, "vic", good, Try{})
	if who.Role != Viewer || who.Tenant != "acme" || who.Kind != KindUser || who.CSRF == "" || who.Session == "" {
		t.Errorf("%+v", who)
	}
	if err := s.AddUser("ann", Viewer, "", good); !fault.Is(err, fault.Conflict) {
		t.Errorf("twice: %v", err)
	}
	for _, bad := range []func() error{
		func() error { return s.AddUser("Ann", Admin, "", good) },
		func() error { return s.AddUser("a\nb", Admin, "", good) },
		func() error { return s.AddUser("bob", "root", "", good) },
		func() error { return s.AddUser("bob", Metrics, "", good) },
		func() error { return s.AddUser("bob", Operator, "acme", good) },
		func() error { return s.AddUser("bob", Viewer, "*", good) },
		func() error { return s.AddUser("bob", Viewer, "", "short") },
	} {
		if err := bad(); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "short\"") {
			t.Errorf("%v", err)
		}
	}
	check(t, os.Chmod(filepath.Join(s.dir, bookFile), 0o644))
	s.seen = nil
	if _, _, err := k.Login(context.Background(), Credentials{User: "ann", Password: good}, Try{}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a file that others can read: %v", err)
	}
}

// There is no user until one is added.
func TestNoDefaultAccounts(t *testing.T) {
	_, k, _ := newKeeper(t)
	for _, name := range []string{"admin", "root", "", "midplane", "link"} {
		for _, password := range []string{"", "admin", name, "midplane"} {
			if _, _, err := k.Login(context.Background(), Credentials{User: name, Password: password}, Try{From: name + password}); !fault.Is(err, fault.Denied) {
				t.Errorf("%q %q: %v", name, password, err)
			}
		}
	}
	if _, ok, err := k.Token(""); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	if _, ok, err := k.Session("", true); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
}

func TestPasswords(t *testing.T) {
	for _, weak := range []string{
		"", "short", "elevenchars", strings.Repeat("x", 300), "password1234", "P@ssw0rd!2026", "passwordpassword", "qwertyuiop123", "aaaaaaaaaaaaaa",
		"123456789012", "abcdefghijklmnop", "abcabcabcabcabc", "annannannann", "ann-midplane-1", "adminadminadmin", "correcthorsebatterystaple",
		"Summer2026!!!", "letmein-letmein", "line\nbreak-in-it", "\xff\xfe invalid bytes",
	} {
		if err := CheckPassword("ann", weak); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" || weak != "" && strings.Contains(err.Error(), weak) {
			t.Errorf("%q: %v", weak, err)
		}
	}
	for _, strong := range []string{good, "gZ4kq9vTbW1x", "über-Ärger im Öl", "8f3a1c9e7b2d", "korrekt pferd batterie"} {
		if err := CheckPassword("ann", strong); err != nil {
			t.Errorf("%q: %v", strong, err)
		}
	}
}

func TestHashes(t *testing.T) {
	cheap := cost{memory: 64, passes: 1, lanes: 1}
	h := cheap.hash(good)
	if !matches(h, good) || matches(h, good+"x") || h == cheap.hash(good) {
		t.Error("a hash is not that of its password alone")
	}
	for _, bad := range []string{"", "x", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=64,t=0,p=1$AAAA$AAAA", "$argon2id$v=19$m=99999999,t=1,p=1$AAAA$AAAA",
		"$argon2id$v=19$m=64,t=1,p=1$AAAA$", "$argon2id$v=1$m=64,t=1,p=1$AAAA$AAAA", strings.ReplaceAll(h, "$m=", "$n=")} {
		if matches(bad, good) || matches(bad, "") {
			t.Errorf("%q matches", bad)
		}
	}
	if standard.memory < 19<<10 || standard.passes < 2 {
		t.Error("weaker than OWASP asks for")
	}
}

// The same answer, the same work, the same counting, whether a user exists.
func TestUnknownUsersLookLikeKnownOnes(t *testing.T) {
	s, k, c := newKeeper(t, standard)
	check(t, s.AddUser("ann", Admin, "", good))
	for range 8 {
		_, _, known := k.Login(context.Background(), Credentials{User: "ann", Password: "wrong password 1"}, Try{From: "192.0.2.1"})
		_, _, unknown := k.Login(context.Background(), Credentials{User: "bob", Password: "wrong password 1"}, Try{From: "192.0.2.2"})
		if known.Error() != unknown.Error() || fault.KindOf(known) != fault.KindOf(unknown) || fault.HintOf(known) != fault.HintOf(unknown) {
			t.Fatalf("%v, %v", known, unknown)
		}
	}
	c.forward(time.Hour)
	fastest := func(name string) time.Duration {
		best := time.Hour
		for range 5 {
			c.forward(time.Hour)
			start := time.Now()
			_, _, err := k.Login(context.Background(), Credentials{User: name, Password: "wrong password 1"}, Try{From: "192.0.2.3"})
			if !fault.Is(err, fault.Denied) {
				t.Fatal(err)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	known, unknown := fastest("ann"), fastest("bob")
	t.Logf("known %s, unknown %s", known, unknown)
	if unknown*10 < known { // it would be a thousandth without the work
		t.Errorf("an unknown user takes %s, a known one %s", unknown, known)
	}
}

func TestGuessingSlowsDown(t *testing.T) {
	s, k, c := newKeeper(t)
	check(t, s.AddUser("ann", Admin, "", good))
	from := Try{From: "192.0.2.1"}
	var refused, tried atomic.Int64
	var all sync.WaitGroup
	for range 40 { // at once: none of them may slip through
		all.Go(func() {
			_, _, err := k.Login(context.Background(), Credentials{User: "ann", Password: "wrong password 1"}, from)
			if fault.Is(err, fault.Exhausted) {
				refused.Add(1)
			} else {
				tried.Add(1)
			}
		})
	}
	all.Wait()
	if tried.Load() > 5 || refused.Load() < 35 {
		t.Fatalf("%d tries, %d refused", tried.Load(), refused.Load())
	}
	_, _, err := k.Login(context.Background(), Credentials{User: "ann", Password: good}, from)
	var wait Wait
	if !errors.As(err, &wait) || wait.For <= 0 {
		t.Fatalf("the right password while slowed down: %v", err)
	}
	// The guesses of others do not keep ann out.
	login(t, k, "ann", good, Try{From: "192.0.2.9"})
	waits := []time.Duration{}
	for range 12 {
		c.forward(wait.For)
		if _, _, err := k.Login(context.Background(), Credentials{User: "ann", Password: "wrong password 1"}, from); !fault.Is(err, fault.Denied) {
			t.Fatal(err)
		}
		_, _, err := k.Login(context.Background(), Credentials{User: "ann", Password: "wrong password 1"}, from)
		if !errors.As(err, &wait) {
			t.Fatal(err)
		}
		waits = append(waits, wait.For)
	}
	if waits[0] < 2*time.Second || waits[11] != longWait {
		t.Errorf("waits %v", waits)
	}
	c.forward(wait.For)
	login(t, k, "ann", good, from)
	// Many names from one address are slowed down too.
	refused.Store(0)
	for i := range 40 {
		if _, _, err := k.Login(context.Background(), Credentials{User: strings.Repeat("n", i+1), Password: "x"}, Try{From: "192.0.2.7"}); fault.Is(err, fault.Exhausted) {
			refused.Add(1)
		}
	}
	if refused.Load() < 15 {
		t.Errorf("40 names: %d refused", refused.Load())
	}
}

func TestThrottleIsBounded(t *testing.T) {
	c := newClock()
	th := throttle{now: c.now, tries: map[string]*tries{}}
	for i := range maxTries + 500 {
		c.forward(time.Millisecond)
		th.begin(limit{key: time.Duration(i).String(), free: 5})
	}
	if len(th.tries) > maxTries {
		t.Errorf("%d entries", len(th.tries))
	}
}

func TestSessionsEnd(t *testing.T) {
	s, k, c := newKeeper(t)
	check(t, s.AddUser("ann", Admin, "", good))
	check(t, s.AddUser("vic", Viewer, "acme", good))
	alive := func(text string, used bool) bool {
		_, ok, err := k.Session(text, used)
		check(t, err)
		return ok
	}
	text, who := login(t, k, "ann", good, Try{})
	c.forward(Idle - time.Second)
	if !alive(text, false) || !k.Alive(who) {
		t.Fatal("it ended early")
	}
	c.forward(time.Second) // a page that asks by itself keeps nothing alive
	if alive(text, true) || k.Alive(who) {
		t.Fatal("an idle session lives")
	}
	text, _ = login(t, k, "ann", good, Try{})
	for range 24 {
		if !alive(text, true) {
			t.Fatal("a used session ended early")
		}
		c.forward(Idle - time.Second)
	}
	c.forward(30 * time.Second)
	if alive(text, true) {
		t.Fatal("a session outlives its absolute bound")
	}
	// A new login has a new secret, and ends the old one.
	text, _ = login(t, k, "ann", good, Try{})
	again, _ := login(t, k, "ann", good, Try{Old: text})
	if again == text || alive(text, true) || !alive(again, true) {
		t.Error("the old session lives beside the new one")
	}
	k.Logout(again)
	if alive(again, true) {
		t.Error("it lives after logout")
	}
	// A password, a deletion, a user made again: all end what was there.
	text, who = login(t, k, "vic", good, Try{})
	check(t, s.SetPassword("vic", good+" 2"))
	if k.Alive(who) || alive(text, true) {
		t.Error("it lives after another password")
	}
	text, _ = login(t, k, "vic", good+" 2", Try{})
	check(t, s.DeleteUser("vic"))
	check(t, s.AddUser("vic", Viewer, "globex", good))
	if alive(text, true) {
		t.Error("it lives after its user was deleted")
	}
}

func TestListAndKillSessions(t *testing.T) {
	s, k, _ := newKeeper(t)
	check(t, s.AddUser("ann", Admin, "", good))
	check(t, s.AddUser("vic", Viewer, "acme", good))
	_, ann := login(t, k, "ann", good, Try{From: "192.0.2.1", Agent: "Firefox\r\n\x1b[31m"})
	vicText, vic := login(t, k, "vic", good, Try{})
	all := k.Sessions(ann)
	if len(all) != 2 || len(k.Sessions(vic)) != 1 || strings.ContainsAny(all[0].Agent+all[1].Agent, "\r\n\x1b") {
		t.Fatalf("%+v", all)
	}
	if _, err := k.End(vic, ann.Session); !fault.Is(err, fault.NotFound) {
		t.Errorf("vic ends ann: %v", err)
	}
	if _, err := k.End(ann, vic.Session); err != nil {
		t.Error(err)
	}
	if _, ok, _ := k.Session(vicText, true); ok {
		t.Error("a killed session lives")
	}
	for range maxOfOne + 5 {
		login(t, k, "vic", good, Try{})
	}
	if n := len(k.Sessions(ann)); n != maxOfOne+1 {
		t.Errorf("%d sessions", n)
	}
}

func TestTokens(t *testing.T) {
	s, k, c := newKeeper(t)
	text, _, err := s.CreateToken("ci", Viewer, "acme", time.Hour)
	check(t, err)
	if data, _ := os.ReadFile(filepath.Join(s.dir, bookFile)); strings.Contains(string(data), text) || len(text) < 40 {
		t.Error("the token is in the file")
	}
	who, ok, err := k.Token(text)
	if err != nil || !ok || who.Name != "ci" || who.Tenant != "acme" || who.Role != Viewer || !k.Alive(who) {
		t.Fatalf("%+v %v %v", who, ok, err)
	}
	if _, ok, _ := k.Token(text + "x"); ok {
		t.Error("another token is good")
	}
	c.forward(time.Hour)
	if _, ok, _ := k.Token(text); ok || k.Alive(who) {
		t.Error("it is good after its life")
	}
	text, _, err = s.CreateToken("prom", Metrics, "", TokenLife)
	check(t, err)
	who, _, _ = k.Token(text)
	check(t, s.RevokeToken("prom"))
	if _, ok, _ := k.Token(text); ok || k.Alive(who) {
		t.Error("it is good after it was revoked")
	}
	for _, life := range []time.Duration{0, -1, MaxToken + 1} {
		if _, _, err := s.CreateToken("x", Viewer, "", life); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", life, err)
		}
	}
	if _, _, err := s.CreateToken("x", Metrics, "acme", time.Hour); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}

// A link is good once, for a while, however many try at the same moment.
func TestLinksAreGoodOnce(t *testing.T) {
	s, k, c := newKeeper(t)
	code, err := s.CreateLink(Admin, "")
	check(t, err)
	var in atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, who, err := k.Redeem(code, Try{}); err == nil && who.Role == Admin {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 {
		t.Fatalf("%d came in", in.Load())
	}
	c.forward(time.Hour)
	code, err = s.CreateLink(Viewer, "acme")
	check(t, err)
	c.forward(LinkLife)
	if _, _, err := k.Redeem(code, Try{}); !fault.Is(err, fault.Denied) {
		t.Errorf("too old: %v", err)
	}
	before, _ := os.Stat(filepath.Join(s.dir, bookFile))
	for range 20 {
		if _, _, err := k.Redeem("guess", Try{From: "192.0.2.1"}); err == nil {
			t.Error("a guess is good")
		}
	}
	if _, _, err := k.Redeem("guess", Try{From: "192.0.2.1"}); !fault.Is(err, fault.Exhausted) {
		t.Errorf("guessing: %v", err)
	}
	if after, _ := os.Stat(filepath.Join(s.dir, bookFile)); !os.SameFile(before, after) {
		t.Error("a guess rewrites the file")
	}
}

// Server and command line share the file: neither loses what the other wrote.
func TestTwoWritersLoseNothing(t *testing.T) {
	dir := Folder(t.TempDir())
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			s, err := Open(dir)
			if err == nil {
				_, _, err = s.CreateToken("t-"+time.Duration(i).String(), Viewer, "", time.Hour)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s, err := Open(dir)
	check(t, err)
	if tokens, err := s.Tokens(); err != nil || len(tokens) != 20 {
		t.Errorf("%d tokens, %v", len(tokens), err)
	}
	check(t, os.WriteFile(filepath.Join(dir, bookFile), []byte("{"), 0o600))
	if _, err := s.Tokens(); err == nil {
		t.Error("a broken file is read")
	}
}

// What the command line changes, also while no server runs, the next server
// takes and can tell, once.
func TestChangesAreKeptForAServer(t *testing.T) {
	s, k, _ := newKeeper(t)
	look := func(want ...string) {
		t.Helper()
		got := []string{}
		for _, c := range k.Changes() {
			got = append(got, strings.Join([]string{c.Verb, c.Target, c.Tenant, string(c.Role)}, " "))
		}
		if !slices.Equal(got, want) {
			t.Errorf("noticed %q, want %q", got, want)
		}
	}
	look()
	check(t, s.AddUser("vic", Viewer, "acme", good))
	_, _, err := s.CreateToken("ci", Admin, "", time.Hour)
	check(t, err)
	check(t, s.RevokeToken("ci"))
	check(t, s.SetPassword("vic", good+" 2"))
	code, err := s.CreateLink(Admin, "")
	check(t, err)
	look("console.user.create vic acme viewer", "console.token.create ci  admin", "console.token.revoke ci  ", "console.user.passwd vic  ", "console.link.create   admin")
	_, _, err = k.Redeem(code, Try{})
	check(t, err)
	_, who := login(t, k, "vic", good+" 2", Try{})
	_, _, err = k.ChangePassword(context.Background(), who, good+" 2", good+" 3", Try{})
	check(t, err)
	look() // recorded as a login, and as an act of vic's
	check(t, s.change(func(b *book) error {
		for range maxJournal + 1 {
			b.note(s.now(), "token.create", "x", "", Viewer)
		}
		return nil
	}))
	check(t, s.DeleteUser("vic"))
	if all := k.Changes(); len(all) != maxJournal || all[maxJournal-1].Verb != "console.user.delete" || !strings.Contains(all[0].Detail(), "uid=") {
		t.Errorf("%d changes", len(all))
	}
	look()
}

func BenchmarkHash(b *testing.B) {
	for b.Loop() {
		standard.hash(good)
	}
}
