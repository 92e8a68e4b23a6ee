package poller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/nats-io/nkeys"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/telemetry"
)

// creds writes a credentials file and returns its public key.
func creds(t *testing.T, path string) string {
	t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	text := "-----BEGIN NATS USER JWT-----\n" + token("syd-01", 0) + "\n------END NATS USER JWT------\n\n" +
		"-----BEGIN USER NKEY SEED-----\n" + string(seed) + "\n------END USER NKEY SEED------\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	pub, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// control is a control plane that knows one configuration.
type control struct {
	t   *testing.T
	nc  *nats.Conn
	pub string

	mu      sync.Mutex
	cfg     api.PollerConfig
	asked   []api.ConfigRequest
	reports []api.PollerReport
	secrets map[string]string
	never   bool          // what is newer than what there is does not come
	life    time.Duration // of a renewed JWT
	renewed int
}

func newControl(t *testing.T, nc *nats.Conn, pub string) *control {
	t.Helper()
	c := &control{t: t, nc: nc, pub: pub}
	svc, err := micro.AddService(nc, micro.Config{Name: "control", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Stop() })
	for verb, h := range map[string]func(json.RawMessage) (any, error){api.ChannelConfig: c.config, api.ChannelStatus: c.status, api.ChannelSecrets: c.askedSecrets, api.ChannelRenew: c.renew} {
		h := func(_ context.Context, subj string, body []byte) (any, error) {
			var s api.Signed
			if err := api.Decode(body, &s); err != nil {
				return nil, err
			}
			key, err := nkeys.FromPublicKey(c.pub)
			if err == nil {
				err = key.Verify(api.SignedBytes("syd-01", verb, s.Time, s.Body), s.Signature)
			}
			if err != nil {
				return nil, fault.Wrap(fault.Denied, err, "signature")
			}
			return h(s.Body)
		}
		if err := svc.AddEndpoint(verb, api.Endpoint(context.Background(), time.Minute, h), micro.WithEndpointSubject("control.syd-01."+verb)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *control) config(body json.RawMessage) (any, error) {
	var req api.ConfigRequest
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, req)
	if c.never && req.Want > c.cfg.Revision {
		return nil, fault.New(fault.Unavailable, "revision %d does not come", req.Want)
	}
	if req.Have == c.cfg.Revision {
		return api.PollerConfig{Unchanged: true, Revision: req.Have}, nil
	}
	return c.cfg, nil
}

func (c *control) status(body json.RawMessage) (any, error) {
	var r api.PollerReport
	if err := api.Decode(body, &r); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = append(c.reports, r)
	return nil, nil
}

// set changes the configuration and hints at it.
func (c *control) set(revision uint64, devices ...string) {
	c.mu.Lock()
	c.cfg = configOf("syd-01", revision, devices...)
	c.mu.Unlock()
	hint, _ := json.Marshal(api.Hint{Revision: revision})
	if err := c.nc.Publish("hint.syd-01", hint); err != nil {
		c.t.Error(err)
	}
}

func configOf(poller event.Producer, revision uint64, devices ...string) api.PollerConfig {
	cfg := api.PollerConfig{Revision: revision, Poller: poller}
	for _, d := range devices {
		cfg.Devices = append(cfg.Devices, api.PollerDevice{ID: event.Entity(d), Address: "192.0.2.1", Checks: []api.PollerCheck{}})
	}
	return cfg
}

// applied collects what a channel applies.
type applied struct {
	mu   sync.Mutex
	list []api.PollerConfig
}

func (a *applied) apply(cfg api.PollerConfig) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, cfg)
}

func (a *applied) last() (uint64, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) == 0 {
		return 0, 0
	}
	return a.list[len(a.list)-1].Revision, len(a.list)
}

// TestChannel: configuration at the start, on a hint, from disk when nobody
// answers; a report when it changed.
func TestChannel(t *testing.T) {
	s := broker(t, t.TempDir(), -1)
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	ctl := newControl(t, connect(t, s.ClientURL(), "control"), creds(t, file))
	ctl.set(7, "r1")
	var a applied
	c := newChannel(dir, "syd-01", newVault(dir, nil), a.apply, telemetry.Nop())
	c.restore() // nothing there
	nc := connect(t, s.ClientURL(), "syd-01")
	stop := background(t, func(ctx context.Context) error {
		return c.run(ctx, nc, signer(file), func() api.PollerReport { return api.PollerReport{Version: "v", Revision: c.revision()} })
	})
	eventually(t, "the first configuration", func() bool { rev, _ := a.last(); return rev == 7 })
	ctl.set(9, "r1", "r2")
	eventually(t, "the second configuration", func() bool { rev, _ := a.last(); return rev == 9 })
	eventually(t, "a report of it", func() bool {
		ctl.mu.Lock()
		defer ctl.mu.Unlock()
		return len(ctl.reports) > 0 && ctl.reports[len(ctl.reports)-1].Revision == 9
	})
	stop()
	ctl.mu.Lock()
	if want := []api.ConfigRequest{{Have: 0}, {Have: 7, Want: 9}}; len(ctl.asked) < 2 || ctl.asked[0] != want[0] || ctl.asked[len(ctl.asked)-1].Have < 7 {
		t.Errorf("asked %+v", ctl.asked)
	}
	ctl.mu.Unlock()
	info, err := os.Stat(filepath.Join(dir, configFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("kept configuration: %v, %v", info, err)
	}
	var b applied
	newChannel(dir, "syd-01", newVault(dir, nil), b.apply, telemetry.Nop()).restore()
	if d := cmp.Diff([]api.PollerConfig{configOf("syd-01", 9, "r1", "r2")}, b.list); d != "" {
		t.Fatal(d)
	}
	var other applied
	newChannel(dir, "mel-01", newVault(dir, nil), other.apply, telemetry.Nop()).restore()
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	newChannel(dir, "syd-01", newVault(dir, nil), other.apply, telemetry.Nop()).restore()
	if _, n := other.last(); n != 0 {
		t.Fatal("another's or a damaged configuration was applied")
	}
}

// TestChannelOlder: one old answer is a node that lags behind, several mean
// that the registry was restored; another poller's configuration is refused.
func TestChannelOlder(t *testing.T) {
	s := broker(t, t.TempDir(), -1)
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	ctl := newControl(t, connect(t, s.ClientURL(), "control"), creds(t, file))
	var a applied
	c := newChannel(dir, "syd-01", newVault(dir, nil), a.apply, telemetry.Nop())
	client := api.NewChannel(connect(t, s.ClientURL(), "syd-01"), "syd-01", signer(file))
	ask := func() error {
		_, err := c.ask(t.Context(), client)
		return err
	}
	for _, step := range []struct{ answer, want uint64 }{{9, 9}, {5, 9}, {9, 9}, {5, 9}, {5, 9}, {5, 5}, {6, 6}} {
		ctl.set(step.answer)
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		if got, _ := a.last(); got != step.want {
			t.Fatalf("%+v: %d", step, got)
		}
	}
	ctl.mu.Lock()
	ctl.cfg = configOf("mel-01", 12)
	ctl.mu.Unlock()
	if err := ask(); !fault.Is(err, fault.Invalid) {
		t.Fatalf("another's configuration: %v", err)
	}
	if got, _ := a.last(); got != 6 {
		t.Fatal("it was applied")
	}
}

// TestKeyOf: errors about credentials never show them.
func TestKeyOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.creds")
	if _, err := keyOf(file); !fault.Is(err, fault.NotFound) {
		t.Errorf("missing: %v", err)
	}
	for _, text := range []string{"", "-----BEGIN NATS USER JWT-----\ne30.e30.e30\n------END NATS USER JWT------\n", "SUASECRETSECRETSECRET"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := signer(file)([]byte("x")); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for n := range 3 {
		if err := replaceFile(path, []byte(fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != fmt.Sprint(n) {
			t.Fatal(string(got), err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Fatalf("files left over: %v", left)
	}
	if err := replaceFile(filepath.Join(dir, "none", "f"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}
