package testwait

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// judged is a test whose failure ends nothing but itself.
type judged struct {
	testing.TB
	failure string
}

func (j *judged) Helper() {}

func (j *judged) Fatalf(format string, args ...any) {
	j.failure = fmt.Sprintf(format, args...)
	panic(j)
}

func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		took := Until(t, "three looks", func() error {
			if n++; n < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		if n != 3 || took != 2*look {
			t.Errorf("%d looks in %s", n, took)
		}
		j := &judged{TB: t}
		func() {
			defer func() { _ = recover() }()
			Within(j, time.Second, "the impossible", func() error { return errors.New("it is so") })
		}()
		if !strings.Contains(j.failure, "the impossible: not within 1s: it is so") {
			t.Errorf("%q", j.failure)
		}
		True(t, "the obvious", func() bool { return true })
	})
}
