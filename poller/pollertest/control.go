package pollertest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/nats-io/nkeys"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/subject"
	"midplane/tenants/account"
)

// Creds writes a credentials file and returns its public key.
func Creds(t *testing.T, path string) string {
	t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	text := "-----BEGIN NATS USER JWT-----\n" + Token("syd-01", 0) + "\n------END NATS USER JWT------\n\n" +
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

// Token is what a user's JWT says of its life, unsigned: the server of these
// tests does not look. No life: it never ends.
func Token(name string, life time.Duration) string {
	claims := map[string]any{"name": name, "iat": time.Now().Unix(), "jti": fmt.Sprint(time.Now().UnixNano())}
	if life != 0 {
		claims["exp"] = time.Now().Add(life).Unix()
	}
	body, _ := json.Marshal(claims) // strings and numbers
	return "e30." + base64.RawURLEncoding.EncodeToString(body) + ".c2ln"
}

// Control is a control plane that knows one configuration.
type Control struct {
	t   *testing.T
	nc  *nats.Conn
	pub string

	sync.Mutex // of what follows
	Config     api.PollerConfig
	Asked      []api.ConfigRequest
	Reports    []api.PollerReport
	Secrets    map[string]string
	Never      bool          // what is newer than Config does not come
	Life       time.Duration // of a renewed JWT; 0: none is renewed
	Renewed    int
}

// NewControl serves the control channel of poller syd-01, whose key is pub, at nc.
func NewControl(t *testing.T, nc *nats.Conn, pub string) *Control {
	t.Helper()
	c := &Control{t: t, nc: nc, pub: pub}
	svc, err := micro.AddService(nc, micro.Config{Name: "control", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Stop() })
	for verb, h := range map[string]func(json.RawMessage) (any, error){api.ChannelConfig: c.answerConfig, api.ChannelStatus: c.answerStatus, api.ChannelSecrets: c.answerSecrets, api.ChannelRenew: c.answerRenew} {
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
		if err := svc.AddEndpoint(verb, api.Endpoint(context.Background(), time.Minute, h), micro.WithEndpointSubject(subject.ControlOf("syd-01", verb))); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Control) answerConfig(body json.RawMessage) (any, error) {
	var req api.ConfigRequest
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	c.Lock()
	defer c.Unlock()
	c.Asked = append(c.Asked, req)
	if c.Never && req.Want > c.Config.Revision {
		return nil, fault.New(fault.Unavailable, "revision %d does not come", req.Want)
	}
	if req.Have == c.Config.Revision {
		return api.PollerConfig{Unchanged: true, Revision: req.Have, Types: c.Config.Types, Polls: c.Config.Polls}, nil
	}
	return c.Config, nil
}

func (c *Control) answerStatus(body json.RawMessage) (any, error) {
	var r api.PollerReport
	if err := api.Decode(body, &r); err != nil {
		return nil, err
	}
	c.Lock()
	defer c.Unlock()
	c.Reports = append(c.Reports, r)
	return nil, nil
}

// answerSecrets answers as the control plane does.
func (c *Control) answerSecrets(body json.RawMessage) (any, error) {
	var req api.SecretsRequest
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	c.Lock()
	defer c.Unlock()
	version := "v-" + c.Secrets["community"]
	if req.Have == version {
		return api.SecretsAnswer{Unchanged: true, Version: version}, nil
	}
	sender, sealed, err := account.SealTo(req.Key, c.Secrets)
	return api.SecretsAnswer{Version: version, Sender: sender, Sealed: sealed}, err
}

func (c *Control) answerRenew(body json.RawMessage) (any, error) {
	var req api.RenewRequest
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	c.Lock()
	defer c.Unlock()
	if c.Life == 0 {
		return nil, fault.New(fault.Denied, "user was revoked")
	}
	c.Renewed++
	return api.Renewed{JWT: Token("syd-01", c.Life), Expires: time.Now().Add(c.Life), Subscriptions: []string{}}, nil
}

// Set changes the configuration and hints at it.
func (c *Control) Set(revision uint64, devices ...string) {
	c.Lock()
	c.Config = ConfigOf("syd-01", revision, devices...)
	c.Unlock()
	hint, _ := json.Marshal(api.Hint{Revision: revision})
	if err := c.nc.Publish(subject.Hint("syd-01"), hint); err != nil {
		c.t.Error(err)
	}
}

// ConfigOf is a configuration of devices without checks.
func ConfigOf(poller event.Producer, revision uint64, devices ...string) api.PollerConfig {
	cfg := api.PollerConfig{Revision: revision, Poller: poller}
	for _, d := range devices {
		cfg.Devices = append(cfg.Devices, api.PollerDevice{ID: event.Entity(d), Address: "192.0.2.1", Checks: []api.PollerCheck{}})
	}
	return cfg
}
