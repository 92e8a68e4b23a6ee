package primary

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// TestOnce: what fails again and again is said when it begins, when the reason
// changes and when it is over.
func TestOnce(t *testing.T) {
	var buf bytes.Buffer
	o := once{log: slog.New(slog.NewTextHandler(&buf, nil)), fails: "not yet", works: "at last"}
	a, b := errors.New("a"), errors.New("b")
	for _, err := range []error{nil, a, a, a, b, b, nil, nil, a, nil} {
		o.note(err)
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
