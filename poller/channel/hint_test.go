package channel

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/poller/pollertest"
)

// A user who may read in a tenant can have a stored message delivered to a
// poller's hints, and choose what it says. It is no hint.
func TestStoredMessageIsNoHint(t *testing.T) {
	c := newChannel(t.TempDir(), "syd-01", "", &applied{})
	forged := nats.NewMsg("hint.syd-01")
	forged.Header.Set(event.HeaderGuard, event.GuardLevel)
	forged.Data = []byte(`{"revision":18446744073709551615,"secrets":18446744073709551615}`)
	c.onHint(forged)
	if c.want != 0 || c.secrets != 0 || len(c.hints) != 0 {
		t.Errorf("believed: revision %d, secrets %d", c.want, c.secrets)
	}
	for _, answer := range []string{`{"ok":true}`, `{"revision":9,"unchanged":true}`, ``, `{"error":{"kind":"denied","message":"x"}}`} {
		c.onHint(&nats.Msg{Data: []byte(answer)}) // of the control channel to another user, who had it sent here
	}
	if c.want != 0 || len(c.hints) != 0 {
		t.Errorf("an answer was believed: revision %d", c.want)
	}
	c.onHint(&nats.Msg{Data: []byte(`{"revision":7}`)})
	if c.want != 7 || len(c.hints) != 1 {
		t.Errorf("a hint of the control plane: revision %d", c.want)
	}
}

// A revision that never comes is given up: otherwise one false hint would keep
// a poller at its configuration for ever.
func TestAHintWithoutAnAnswerIsGivenUp(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	ctl := pollertest.NewControl(t, pollertest.Connect(t, s.ClientURL(), "control"), pollertest.Creds(t, file))
	ctl.Never = true
	var a applied
	c := newChannel(dir, "syd-01", file, &a)
	client := api.NewChannel(pollertest.Connect(t, s.ClientURL(), "syd-01"), "syd-01", signer(file))
	ctl.Set(7)
	c.want = math.MaxUint64
	for range stubborn {
		if _, err := c.ask(t.Context(), client); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("asked for what will never be: %v", err)
		}
	}
	if _, err := c.ask(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if got, _ := a.last(); got != 7 {
		t.Errorf("the configuration is %d", got)
	}
}
