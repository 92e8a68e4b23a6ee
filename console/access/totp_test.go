package access

import (
	"context"
	"strings"
	"testing"
	"time"

	"midplane/fault"
)

// The test vectors of RFC 6238, appendix B, for SHA-1, in six digits.
func TestCodes(t *testing.T) {
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := codeAt([]byte("12345678901234567890"), at/30); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

// code is the code of a factor at a moment.
func code(t *testing.T, f Factor, at time.Time) string {
	t.Helper()
	key, err := base32Plain.DecodeString(f.Secret)
	check(t, err)
	return codeAt(key, at.Unix()/30)
}

func TestSecondFactor(t *testing.T) {
	s, k, c := newKeeper(t)
	check(t, s.AddUser("ann", Admin, "", good))
	_, before := login(t, k, "ann", good, Try{})
	f, err := s.SetFactor("ann")
	check(t, err)
	if k.Alive(before) {
		t.Error("a session without the factor lives")
	}
	try := func(password, code string) error {
		_, _, err := k.Login(context.Background(), Credentials{User: "ann", Password: password, Code: code}, Try{From: "192.0.2.1"})
		return err
	}
	now := code(t, f, c.now())
	wrongPassword := try("wrong password 1", now)
	for name, err := range map[string]error{
		"no code": try(good, ""), "a made-up code": try(good, "000000"), "an old code": try(good, code(t, f, c.now().Add(-5*time.Minute))), "a wrong password": wrongPassword,
	} {
		if !fault.Is(err, fault.Denied) || err.Error() != wrongPassword.Error() || fault.HintOf(err) != fault.HintOf(wrongPassword) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, try(good, now[:3]+" "+now[3:]))
	if err := try(good, now); !fault.Is(err, fault.Denied) {
		t.Errorf("a code used twice: %v", err)
	}
	if err := try(good, code(t, f, c.now().Add(-30*time.Second))); !fault.Is(err, fault.Denied) {
		t.Errorf("a code from before the one that was used: %v", err)
	}
	c.forward(time.Minute)
	check(t, try(good, code(t, f, c.now().Add(30*time.Second)))) // a clock that is ahead
	// Codes are counted like passwords.
	c.forward(2 * time.Hour)
	for range 6 {
		err = try(good, "000000")
	}
	if !fault.Is(err, fault.Exhausted) {
		t.Errorf("guessing codes: %v", err)
	}
	c.forward(2 * time.Hour)
	check(t, s.SetPassword("ann", good+" 2"))
	if err := try(good+" 2", ""); !fault.Is(err, fault.Denied) {
		t.Errorf("another password took the factor away: %v", err)
	}
	check(t, s.DropFactor("ann"))
	check(t, try(good+" 2", ""))
	if users, _ := s.Users(); users[0].MFA {
		t.Error("listed with a factor")
	}
	got := []string{}
	for _, ch := range k.Changes() {
		got = append(got, ch.Verb)
	}
	if !strings.Contains(strings.Join(got, " "), "console.user.mfa.set console.user.passwd console.user.mfa.drop") {
		t.Errorf("%v", got)
	}
}

// Where it is required, who may act has a second factor or does not get in.
func TestRequiredFactor(t *testing.T) {
	s, _, c := newKeeper(t)
	k := NewKeeper(s, Config{RequireMFA: true, Now: c.now})
	for name, role := range map[string]Role{"ann": Admin, "bob": Operator, "vic": Viewer} {
		check(t, s.AddUser(name, role, "", good))
		_, _, err := k.Login(context.Background(), Credentials{User: name, Password: good}, Try{})
		if in := err == nil; in != (role == Viewer) {
			t.Errorf("%s: %v", role, err)
		}
	}
	f, err := s.SetFactor("ann")
	check(t, err)
	_, _, err = k.Login(context.Background(), Credentials{User: "ann", Password: good, Code: code(t, f, c.now())}, Try{})
	check(t, err)
}
