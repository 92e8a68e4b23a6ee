package channel

import (
	"context"

	"midplane/api"
	"midplane/fault"
)

// restoreSecrets reads what is kept on disk for the configuration kept there.
func (c *Channel) restoreSecrets(cfg api.PollerConfig) {
	names := cfg.Secrets()
	if len(names) > 0 {
		if err := c.store.restore(); err != nil {
			c.log.Warn("the secrets kept on disk are not used", "error", err)
		}
	}
	c.store.want(names)
}

// askSecrets fetches what cfg refers to, when it has changed. A new value
// counts from the next run of a check.
func (c *Channel) askSecrets(ctx context.Context, client *api.Channel, cfg api.PollerConfig) (changed bool, err error) {
	names := cfg.Secrets()
	c.store.want(names)
	if len(names) == 0 {
		return false, nil
	}
	public, open, err := envelope()
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	hinted := c.secrets
	c.mu.Unlock()
	req := api.SecretsRequest{Key: public, Have: c.store.have(), Want: max(cfg.Revision, hinted)}
	var answer api.SecretsAnswer
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := client.Do(ctx, api.ChannelSecrets, req, &answer); err != nil {
		c.unhint(hinted)
		return false, fault.Wrap(fault.Other, err, "secrets")
	}
	c.unanswered = 0
	if answer.Unchanged && answer.Version == req.Have {
		return false, nil
	}
	var values map[string]string
	if err := open(answer.Sender, answer.Sealed, &values); err != nil {
		return false, fault.Wrap(fault.Other, err, "secrets")
	}
	if err := c.store.take(answer.Version, values); err != nil {
		c.log.Warn("the secrets are in use, but could not be kept on disk", "error", err)
	}
	c.log.Info("secrets applied", "referred", len(names), "set", len(values))
	return true, nil
}

// unhint gives up a revision of secrets that had no answer several times: after
// the registry was restored it may never come.
func (c *Channel) unhint(hinted uint64) {
	if c.unanswered++; c.unanswered < stubborn {
		return
	}
	c.unanswered = 0
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secrets == hinted {
		c.secrets = 0
	}
}
