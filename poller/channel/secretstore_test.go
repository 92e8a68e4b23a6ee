package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/poller/pollertest"
)

// TestSecretsSurviveARestart: what was delivered is there after a restart
// without a control plane, only with the same key, and never in clear.
func TestSecretsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.creds")
	pollertest.Creds(t, file)
	key := func() (nkeys.KeyPair, error) { return keyOf(file) }
	v := newSecretStore(dir, key)
	v.want([]string{"community", "other"})
	if err := v.take("v1", map[string]string{"community": "winter-is-here"}); err != nil {
		t.Fatal(err)
	}
	if got := v.problem(); got != "not set: secret:other" {
		t.Errorf("problem %q", got)
	}
	data, err := os.ReadFile(filepath.Join(dir, secretsFile))
	if err != nil || bytes.Contains(data, []byte("winter")) || bytes.Contains(data, []byte("community")) {
		t.Errorf("on disk: %v, %q", err, data)
	}
	if info, err := os.Stat(filepath.Join(dir, secretsFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	again := newSecretStore(dir, key)
	if err := again.restore(); err != nil {
		t.Fatal(err)
	}
	if got, err := again.secret("community"); got != "winter-is-here" || again.have() != "v1" {
		t.Errorf("restored %q, %v, version %q", got, err, again.have())
	}
	if _, err := again.secret("other"); !fault.Is(err, fault.NotFound) || strings.Contains(err.Error(), "winter") {
		t.Errorf("a secret that is not there: %v", err)
	}

	// another key, a changed byte, a cut file: nothing, and no panic
	pollertest.Creds(t, filepath.Join(dir, "q.creds"))
	other := newSecretStore(dir, func() (nkeys.KeyPair, error) { return keyOf(filepath.Join(dir, "q.creds")) })
	if err := other.restore(); !fault.Is(err, fault.Denied) || other.have() != "" {
		t.Errorf("another key: %v, %q", err, other.have())
	}
	for _, broken := range [][]byte{append(bytes.Clone(data[:len(data)-1]), data[len(data)-1]^1), data[:20], data[:3], {}} {
		if err := os.WriteFile(filepath.Join(dir, secretsFile), broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := newSecretStore(dir, key).restore(); err == nil {
			t.Errorf("%d damaged bytes were taken", len(broken))
		}
	}

	// what nothing refers to any more is let go of, on disk, too
	v.want(nil)
	if _, err := v.secret("community"); err == nil {
		t.Error("a secret that nothing refers to is still held")
	}
	if _, err := os.Stat(filepath.Join(dir, secretsFile)); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

// TestChannelSecrets: a configuration that refers to a secret brings it along;
// a new value comes by hint, without another configuration; what is on disk
// works without the control plane.
func TestChannelSecrets(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.creds")
	pub := pollertest.Creds(t, file)
	srv := pollertest.Broker(t, t.TempDir(), -1)
	service := pollertest.Connect(t, srv.ClientURL(), "service")
	control := pollertest.NewControl(t, service, pub)
	control.Lock()
	control.Config = api.PollerConfig{Revision: 7, Poller: "syd-01", Devices: []api.PollerDevice{{ID: "r1", Address: "127.0.0.1",
		SNMP: &api.SNMP{Version: "2c", Community: "secret:community"}}}}
	control.Secrets = map[string]string{"community": "winter"}
	control.Unlock()

	a := &applied{}
	c := newChannel(dir, "syd-01", file, a)
	nc := pollertest.Connect(t, srv.ClientURL(), "syd-01")
	stop := pollertest.Background(t, func(ctx context.Context) error {
		return c.Run(ctx, nc, func() api.PollerReport { return api.PollerReport{} })
	})
	has := func(want string) func() bool {
		return func() bool { got, _ := c.store.secret("community"); return got == want }
	}
	testwait.True(t, "the first value is there", has("winter"))
	control.Lock()
	control.Secrets["community"] = "summer"
	control.Unlock()
	hint, _ := json.Marshal(api.Hint{Revision: 7, Secrets: 9})
	if err := service.Publish("hint.syd-01", hint); err != nil {
		t.Fatal(err)
	}
	testwait.True(t, "the new value is there", has("summer"))
	testwait.True(t, "the configuration is on disk", func() bool { _, err := os.Stat(filepath.Join(dir, configFile)); return err == nil })
	stop()

	for _, name := range []string{configFile, secretsFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || bytes.Contains(data, []byte("summer")) || bytes.Contains(data, []byte("winter")) {
			t.Errorf("%s: %v, or a secret in clear", name, err)
		}
	}
	b := &applied{}
	again := newChannel(dir, "syd-01", file, b)
	again.Restore()
	if got, err := again.store.secret("community"); got != "summer" {
		t.Errorf("after a restart without a control plane: %q, %v", got, err)
	}
}
