// Package testwait lets tests wait for what comes about by itself. Its bounds
// are generous, since a machine may be busy: they are no criterion of speed. It
// touches nothing.
package testwait

import (
	"testing"
	"time"
)

// Patience is how long Until and True wait.
const Patience = 90 * time.Second

// look is the pause between two looks.
const look = 10 * time.Millisecond

// Until calls f until it returns nil, and returns how long that took. When it
// never does, the test has failed with f's last error.
func Until(t testing.TB, what string, f func() error) time.Duration {
	t.Helper()
	return Within(t, Patience, what, f)
}

// True calls f until it returns true. When it never does, the test has failed.
func True(t testing.TB, what string, f func() bool) {
	t.Helper()
	Within(t, Patience, what, func() error {
		if f() {
			return nil
		}
		return errNotYet{}
	})
}

type errNotYet struct{}

func (errNotYet) Error() string { return "not so" }

// Within is Until with another bound.
func Within(t testing.TB, bound time.Duration, what string, f func() error) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		err := f()
		took := time.Since(began)
		switch {
		case err == nil:
			return took
		case took > bound:
			t.Fatalf("%s: not within %s: %v", what, bound.Round(time.Millisecond), err)
		}
		time.Sleep(look)
	}
}
