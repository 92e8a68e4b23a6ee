package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindOf(t *testing.T) {
	base := New(NotFound, "tenant %q does not exist", "acme")
	for _, tc := range []struct {
		name string
		err  error
		want Kind
	}{
		{"nil", nil, ""},
		{"plain", io.EOF, Other},
		{"classified", base, NotFound},
		{"wrapped by fmt", fmt.Errorf("apply: %w", base), NotFound},
		{"rewrapped", Wrap(Unavailable, base, "ask"), Unavailable},
		{"rewrapped as other keeps its class", Wrap(Other, base, "ask"), NotFound},
		{"deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), Unavailable},
		{"hint keeps class", WithHint(base, "run apply"), NotFound},
		{"New with %w", New(Conflict, "store: %w", base), Conflict},
	} {
		if got := KindOf(tc.err); got != tc.want {
			t.Errorf("%s: kind %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestMessageAndHint(t *testing.T) {
	err := Wrap(Invalid, WithHint(New(Invalid, "bad name %q: %w", "*", io.EOF), "use a-z"), "acme.yaml:3")
	if want := `acme.yaml:3: bad name "*": EOF`; err.Error() != want {
		t.Errorf("message %q, want %q", err.Error(), want)
	}
	if !errors.Is(err, io.EOF) {
		t.Error("the cause is lost")
	}
	if HintOf(err) != "use a-z" {
		t.Errorf("hint %q", HintOf(err))
	}
	if HintOf(errors.Join(io.EOF, err)) != "use a-z" {
		t.Error("the hint inside a joined error is lost")
	}
	if Wrap(Invalid, nil, "x") != nil || WithHint(nil, "x") != nil {
		t.Error("nil must stay nil")
	}
}

func TestRetryable(t *testing.T) {
	for k, want := range map[Kind]bool{Invalid: false, Denied: false, NotFound: false, Conflict: false, Unavailable: true, Exhausted: true, Other: true} {
		if got := Retryable(New(k, "x")); got != want {
			t.Errorf("%s: %v", k, got)
		}
	}
}
