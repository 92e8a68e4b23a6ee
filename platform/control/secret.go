package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// secretSet seals a value into the registry and tells the pollers that refer
// to it. The value is in no error, log or answer.
func (c *Control) secretSet(ctx context.Context, who string, req api.SetSecret) (any, error) {
	if err := api.CheckSecretName(req.Name); err != nil {
		return nil, err
	}
	if err := api.CheckSecretValue(req.Value); err != nil {
		return nil, err
	}
	for {
		t, err := c.tenant(req.Tenant)
		if err != nil {
			return nil, err
		}
		if !t.Open() {
			return nil, fault.WithHint(fault.New(fault.Unavailable, "tenant %s is not ready", t.ID), "wait for it: midplane status")
		}
		if _, known := t.Secrets[req.Name]; !known && len(t.Secrets) >= api.MaxSecrets {
			return nil, fault.WithHint(fault.New(fault.Exhausted, "tenant %s has %d secrets, and may have no more", t.ID, len(t.Secrets)), "delete one that is not used: midplane secret list")
		}
		rev, err := c.reg.PutSecret(ctx, t, req.Name, req.Value, who, time.Now().UTC())
		if fault.Is(err, fault.Conflict) && ctx.Err() == nil {
			// Set by somebody else meanwhile: the last one counts.
			if err := c.reg.Fresh(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if _, err := c.reg.WaitView(ctx, rev); err != nil {
			return nil, err
		}
		c.hintSecret(t, req.Name, rev)
		return nil, nil
	}
}

func (c *Control) secretDelete(ctx context.Context, _ string, req api.SecretRef) (any, error) {
	t, err := c.tenant(req.Tenant)
	if err != nil {
		return nil, err
	}
	if _, ok := t.Secrets[req.Name]; !ok {
		return nil, fault.WithHint(fault.New(fault.NotFound, "tenant %s has no such secret", t.ID), "see: midplane secret list")
	}
	rev, err := c.reg.DeleteSecret(ctx, t.ID, req.Name)
	if err != nil {
		return nil, err
	}
	c.hintSecret(t, req.Name, rev)
	return nil, nil
}

// hintSecret tells the pollers that refer to a secret to ask now. One that
// misses it asks by itself within ten seconds.
func (c *Control) hintSecret(t *registry.Tenant, name string, rev uint64) {
	nc, err := c.cfg.Dialer.Control(t)
	if err != nil {
		c.tel.Log.Warn("pollers are not told of a changed secret; they ask by themselves", "tenant", t.ID, "error", err)
		return
	}
	data, _ := json.Marshal(api.Hint{Revision: t.SpecRevision, Secrets: rev}) // two numbers
	for _, p := range secretUsers(t)[name] {
		if err := nc.Publish(subject.Hint(p), data); err != nil {
			c.tel.Log.Warn("a poller is not told of a changed secret; it asks by itself", "tenant", t.ID, "poller", p, "error", err)
		}
	}
}

// secretUsers returns the pollers whose configuration refers to each secret.
func secretUsers(t *registry.Tenant) map[string][]string {
	out := map[string][]string{}
	for _, p := range t.Spec.Pollers() {
		if cfg, ok := t.Spec.PollerConfig(p.ID); ok {
			for _, name := range cfg.Secrets() {
				out[name] = append(out[name], string(p.ID))
			}
		}
	}
	return out
}

// secretRows lists what is set and what is referred to, without values.
func (c *Control) secretRows(_ context.Context, req api.ListRequest) (out []row[api.Secret], err error) {
	err = c.each(req, func(t *registry.Tenant) {
		users := secretUsers(t)
		add := func(name string) {
			r := api.Secret{ID: string(t.ID) + "/" + name, Tenant: string(t.ID), Name: name, Status: api.SecretMissing, Pollers: slices.Clone(users[name])}
			if r.Pollers == nil {
				r.Pollers = []string{}
			}
			if t.HasSecret(name) {
				s := t.Secrets[name]
				r.Status, r.SetAt, r.SetBy = api.SecretIsSet, &s.Set, s.By
			}
			out = append(out, row[api.Secret]{r.ID, r})
		}
		for name := range t.Secrets {
			if t.HasSecret(name) {
				add(name)
			}
		}
		for name := range users {
			if !t.HasSecret(name) {
				add(name)
			}
		}
	})
	return out, err
}

// secretProblems names what a tenant's file refers to and nobody has set.
func secretProblems(t *registry.Tenant) (out []api.Problem) {
	for name := range secretUsers(t) {
		if !t.HasSecret(name) {
			out = append(out, api.Problem{Severity: "warning", Tenant: string(t.ID), Message: fmt.Sprintf("secret:%s is referred to and not set", name),
				Hint: fmt.Sprintf("midplane secret set %s/%s", t.ID, name)})
		}
	}
	return out
}

// channelSecrets gives a poller the secrets that its own configuration refers
// to, sealed for the key it has sent: the answer may be aimed at any subject
// of its tenant.
func (c *Control) channelSecrets(ctx context.Context, t *registry.Tenant, u registry.User, req api.SecretsRequest) (any, error) {
	if u.Role != account.RolePoller || !u.Live() {
		return nil, fault.New(fault.Denied, "user %s/%s is given no secrets", t.ID, u.Name)
	}
	t, err := c.catchUp(ctx, t, req.Want)
	if err != nil {
		return nil, err
	}
	cfg, _ := t.Spec.PollerConfig(event.Producer(u.Name)) // without one there are no references
	values, sum := map[string]string{}, sha256.New()
	for _, name := range cfg.Secrets() {
		if !t.HasSecret(name) {
			continue
		}
		// The account is in it: a tenant that was made anew begins anew.
		fmt.Fprintf(sum, "%s %s %d\n", t.Account.Key, name, t.Secrets[name].Revision)
		if values[name], err = c.reg.OpenSecret(t, name); err != nil {
			return nil, err
		}
	}
	out := api.SecretsAnswer{Version: hex.EncodeToString(sum.Sum(nil)[:16])}
	if req.Have == out.Version {
		out.Unchanged = true
		return out, nil
	}
	out.Sender, out.Sealed, err = account.SealTo(req.Key, values)
	return out, err
}
