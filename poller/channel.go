package poller

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/poller/outbox"
	"midplane/subject"
	"midplane/telemetry"
)

const (
	askEvery    = 10 * time.Second
	reportEvery = 5 * time.Second
	askTimeout  = 5 * time.Second
	// stubborn is how many answers in a row must be older than what is had,
	// before that is believed: one may come from a node that lags behind, all
	// of them mean that the registry was restored.
	stubborn = 3
	// configFile keeps the last good configuration.
	configFile = "config.json"
)

// channel is the poller's end of the control channel: it keeps the
// configuration current and reports how the poller is.
type channel struct {
	path  string // of the last good configuration
	user  string
	apply func(api.PollerConfig)
	tel   telemetry.Telemetry
	hints chan struct{} // ask now

	vault *vault

	mu      sync.Mutex
	have    api.PollerConfig
	want    uint64 // a hint named it
	secrets uint64 // and this, for secrets

	// asking's own.
	older      int  // answers in a row that were older
	unanswered int  // questions for secrets in a row
	unheard    int  // questions for a revision that was hinted at, in a row
	silent     bool // the last question had no answer
}

func newChannel(dir, user string, vault *vault, apply func(api.PollerConfig), tel telemetry.Telemetry) *channel {
	return &channel{path: filepath.Join(dir, configFile), user: user, vault: vault, apply: apply, tel: tel, hints: make(chan struct{}, 1)}
}

// revision is that of the configuration in use, 0 when there is none.
func (c *channel) revision() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.have.Revision
}

// restore applies the configuration kept on disk, so that a poller works
// although the control plane does not answer. A damaged one is set aside: the
// control plane has it.
func (c *channel) restore() {
	data, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var cfg api.PollerConfig
	if err == nil {
		err = json.Unmarshal(data, &cfg)
	}
	if err == nil {
		err = c.check(cfg)
	}
	if err != nil {
		c.tel.Log.Warn("the configuration kept on disk is not used", "file", c.path, "error", err)
		return
	}
	c.restoreSecrets(cfg)
	c.mu.Lock()
	c.have = cfg
	c.mu.Unlock()
	c.apply(cfg)
}

// check refuses the configuration of another poller.
func (c *channel) check(cfg api.PollerConfig) error {
	if cfg.Poller != event.Producer(c.user) {
		return fault.New(fault.Invalid, "it is for poller %q, this is %q", cfg.Poller, c.user)
	}
	return nil
}

// run asks and reports over nc until ctx ends. status tells what to report.
func (c *channel) run(ctx context.Context, nc *nats.Conn, sign func([]byte) ([]byte, error), status func() api.PollerReport) error {
	sub, err := nc.Subscribe(subject.Hint(c.user), c.onHint)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "subscribe to hints")
	}
	defer sub.Unsubscribe() // the connection may be gone
	client := api.NewChannel(nc, c.user, sign)
	reports := make(chan struct{}, 1)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.asking(ctx, nc, client, reports) })
	g.Go(func() error { return c.reporting(ctx, nc, client, reports, status) })
	return g.Wait()
}

// asking asks at once, when connected anew, on a hint and every ten seconds;
// sooner when there was no answer.
func (c *channel) asking(ctx context.Context, nc *nats.Conn, client *api.Channel, reports chan struct{}) error {
	connected := nc.StatusChanged(nats.CONNECTED)
	defer nc.RemoveStatusListener(connected)
	delay := outbox.NewBackoff()
	for ctx.Err() == nil {
		next := askEvery
		if nc.IsConnected() {
			changed, err := c.ask(ctx, client)
			c.note(ctx, err)
			if err != nil {
				next = delay.NextBackOff()
			} else {
				delay.Reset()
			}
			if changed {
				nudge(reports)
			}
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-connected:
		case <-c.hints:
		}
		timer.Stop()
	}
	return nil
}

// note logs when answers stop and when they come again.
func (c *channel) note(ctx context.Context, err error) {
	if ctx.Err() != nil || (err != nil) == c.silent {
		return
	}
	if c.silent = err != nil; c.silent {
		c.tel.Log.Warn("no configuration from the control plane, going on with what there is", "revision", c.revision(), "error", err)
		return
	}
	c.tel.Log.Info("the control plane answers", "revision", c.revision())
}

// ask fetches the configuration and applies it when it is another one.
func (c *channel) ask(ctx context.Context, client *api.Channel) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	c.mu.Lock()
	req := api.ConfigRequest{Have: c.have.Revision}
	if c.want > c.have.Revision {
		req.Want = c.want
	}
	c.mu.Unlock()
	var cfg api.PollerConfig
	if err := client.Do(ctx, api.ChannelConfig, req, &cfg); err != nil {
		c.giveUp(req.Want)
		return false, err
	}
	c.unheard = 0
	if cfg.Unchanged || cfg.Revision == req.Have && req.Have > 0 {
		c.older = 0
		c.mu.Lock()
		cfg = c.have
		c.mu.Unlock()
		return c.askSecrets(ctx, client, cfg)
	}
	if err := c.check(cfg); err != nil {
		return false, fault.Wrap(fault.Invalid, err, "configuration")
	}
	if cfg.Revision < req.Have {
		if c.older++; c.older < stubborn {
			return false, nil
		}
	}
	c.older = 0
	// First what it refers to, or its checks would begin without. When that
	// fails they begin all the same.
	_, err = c.askSecrets(ctx, client, cfg)
	c.take(cfg)
	return true, err
}

// take applies cfg and keeps it.
func (c *channel) take(cfg api.PollerConfig) {
	c.mu.Lock()
	c.have = cfg
	if cfg.Revision < c.want { // restored: what was hinted at is gone
		c.want = 0
	}
	c.mu.Unlock()
	c.apply(cfg)
	c.tel.Log.Info("configuration applied", "revision", cfg.Revision, "devices", len(cfg.Devices))
	data, err := json.MarshalIndent(cfg, "", "  ")
	if err == nil {
		err = replaceFile(c.path, data)
	}
	if err != nil {
		c.tel.Log.Warn("the configuration is in use, but could not be kept on disk", "file", c.path, "error", err)
	}
}

// reporting tells the control plane how the poller is, every five seconds and
// when the configuration has changed. That it does not answer is asking's to say.
func (c *channel) reporting(ctx context.Context, nc *nats.Conn, client *api.Channel, now <-chan struct{}, status func() api.PollerReport) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		if nc.IsConnected() {
			rctx, cancel := context.WithTimeout(ctx, askTimeout)
			if err := client.Do(rctx, api.ChannelStatus, status(), nil); err != nil && ctx.Err() == nil {
				c.tel.Log.Debug("report", "error", err)
			}
			cancel()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-now:
		}
	}
}

// signer returns a function that signs with the key in a credentials file. The
// key is read for each signature and wiped: it may be renewed, and it is
// nowhere to be logged from.
func signer(credsFile string) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) {
		key, err := keyOf(credsFile)
		if err != nil {
			return nil, err
		}
		defer key.Wipe()
		sig, err := key.Sign(data)
		return sig, fault.Wrap(fault.Other, err, "sign")
	}
}

// keyOf reads the key of a credentials file. The error never shows its content.
func keyOf(credsFile string) (nkeys.KeyPair, error) {
	data, err := os.ReadFile(credsFile)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "credentials")
	}
	defer clear(data)
	if jwt, err := nkeys.ParseDecoratedJWT(data); err != nil || jwt == "" {
		return nil, fault.New(fault.Invalid, "%s holds no user JWT", credsFile)
	}
	key, err := nkeys.ParseDecoratedUserNKey(data)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s holds no user key", credsFile)
	}
	return key, nil
}
