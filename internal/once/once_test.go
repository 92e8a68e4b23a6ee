package once

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What fails again and again is logged when it begins, when the reason changes
// and when it is over.
func TestLog(t *testing.T) {
	var buf bytes.Buffer
	o := Log{To: slog.New(slog.NewTextHandler(&buf, nil)), Fails: "not yet", Works: "at last"}
	a, b := errors.New("a"), errors.New("b")
	for _, err := range []error{nil, a, a, a, b, b, nil, nil, a, nil} {
		o.Note(err)
	}
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(buf.String()), "\n") {
		_, msg, _ := strings.Cut(line, "level=")
		got = append(got, msg)
	}
	want := `WARN msg="not yet" error=a|WARN msg="not yet" error=b|INFO msg="at last"|WARN msg="not yet" error=a|INFO msg="at last"`
	if all := strings.Join(got, "|"); all != want {
		t.Fatalf("got  %s\nwant %s", all, want)
	}
}

func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e Every
		if !e.Due("a", time.Minute) || e.Due("a", time.Minute) || !e.Due("b", time.Minute) {
			t.Error("a key is due once, each by itself")
		}
		time.Sleep(time.Minute)
		if !e.Due("a", time.Minute) {
			t.Error("not due after its time")
		}
		e.Forget("a")
		if !e.Due("a", time.Minute) {
			t.Error("not due when forgotten")
		}
	})
}
