package channel

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/atomicfile"
)

// Restore applies the configuration kept on disk, so that a poller works
// although the control plane does not answer. A damaged one is set aside: the
// control plane has it.
func (c *Channel) Restore() {
	cfg, err := c.kept()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = c.check(cfg)
	}
	if err != nil {
		c.log.Warn("the configuration kept on disk is not used", "file", c.path, "error", err)
		return
	}
	if cfg.Pace != nil {
		c.cfg.Pace(*cfg.Pace)
	}
	c.cfg.Types(cfg.Types)
	c.cfg.Polls(cfg.Polls)
	c.restoreSecrets(cfg)
	c.mu.Lock()
	c.have = cfg
	c.mu.Unlock()
	c.cfg.Apply(cfg)
}

// kept reads what is on disk. Between two forms of it a power cut leaves both: the
// newer counts.
func (c *Channel) kept() (api.PollerConfig, error) {
	var cfg api.PollerConfig
	data, err := os.ReadFile(c.path)
	if err == nil {
		err = json.Unmarshal(data, &cfg)
	}
	inParts, partsErr := c.parts.restore()
	switch {
	case partsErr == nil && (err != nil || inParts.Revision > cfg.Revision):
		return inParts, nil
	case err != nil && errors.Is(err, fs.ErrNotExist) && !errors.Is(partsErr, fs.ErrNotExist):
		return cfg, partsErr
	}
	return cfg, err
}

// check refuses the configuration of another poller.
func (c *Channel) check(cfg api.PollerConfig) error {
	if cfg.Poller != event.Producer(c.cfg.User) {
		return fault.New(fault.Invalid, "it is for poller %q, this is %q", cfg.Poller, c.cfg.User)
	}
	return nil
}

// ask fetches the configuration and applies it when it is another one.
func (c *Channel) ask(ctx context.Context, client *api.Channel) (changed bool, err error) {
	c.mu.Lock()
	req := api.ConfigRequest{Have: c.have.Revision, Reads: []string{api.ReadsPace, api.ReadsTypes, api.ReadsFormats, api.ReadsPolls, api.ReadsParts}}
	if c.want > c.have.Revision {
		req.Want = c.want
	}
	c.mu.Unlock()
	cfg, err := fetch(ctx, client, req)
	if err != nil {
		c.giveUp(req.Want)
		return false, err
	}
	c.unserved = 0
	if cfg.Pace != nil {
		c.cfg.Pace(*cfg.Pace)
	}
	c.cfg.Types(cfg.Types)
	c.cfg.Polls(cfg.Polls)
	if cfg.Unchanged || cfg.Revision == req.Have && req.Have > 0 {
		c.older = 0
		cfg = c.keepVersions(cfg)
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
	if err := c.complete(ctx, client, &cfg); err != nil {
		return false, err
	}
	// First what it refers to, or its checks would begin without. When that
	// fails they begin all the same.
	_, err = c.askSecrets(ctx, client, cfg)
	c.take(cfg)
	return true, err
}

// take applies cfg and keeps it.
func (c *Channel) take(cfg api.PollerConfig) {
	c.mu.Lock()
	c.have = cfg
	if cfg.Revision < c.want { // restored: what was hinted at is gone
		c.want = 0
	}
	c.mu.Unlock()
	c.cfg.Apply(cfg)
	c.log.Info("configuration applied", "revision", cfg.Revision, "devices", len(cfg.Devices))
	c.save(cfg)
}

// keepVersions returns the configuration in use with the versions that the nodes
// take now, and keeps those, too: after a restart the control plane may not answer.
func (c *Channel) keepVersions(now api.PollerConfig) api.PollerConfig {
	c.mu.Lock()
	changed := !maps.Equal(c.have.Types, now.Types) || !maps.Equal(c.have.Formats, now.Formats) || !c.have.Polls.Same(now.Polls)
	c.have.Types, c.have.Formats, c.have.Polls = now.Types, now.Formats, now.Polls
	cfg := c.have
	c.mu.Unlock()
	if changed {
		c.save(cfg)
	}
	return cfg
}

// save keeps a configuration on disk.
func (c *Channel) save(cfg api.PollerConfig) {
	err := c.saveAs(cfg)
	if err != nil {
		c.log.Warn("the configuration is in use, but could not be kept on disk", "file", c.path, "error", err)
	}
}

func (c *Channel) saveAs(cfg api.PollerConfig) error {
	if len(cfg.Parts) > 0 {
		return errors.Join(c.parts.save(cfg), removed(c.path))
	}
	data, err := json.MarshalIndent(cfg, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(c.path, data); err != nil {
		return err
	}
	return c.parts.remove()
}

func fetch(ctx context.Context, client *api.Channel, req api.ConfigRequest) (cfg api.PollerConfig, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err = client.Do(ctx, api.ChannelConfig, req, &cfg)
	if fault.Is(err, fault.Invalid) { // an older node, which does not know the field
		req.Reads = nil
		err = client.Do(ctx, api.ChannelConfig, req, &cfg)
	}
	return cfg, err
}
