// Package secrets keeps the values that tenants' files refer to as "secret:NAME":
// sealed in the registry, readable for the pollers that refer to them and in no
// answer, log or error.
package secrets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/service"
	"midplane/platform/registry"
)

// Dialer opens connections into tenants' accounts.
type Dialer interface {
	Control(t *registry.Tenant) (*nats.Conn, error)
}

// Config is what Secrets are given.
type Config struct {
	Registry *registry.Registry
	Dialer   Dialer
	Log      *slog.Logger
}

// Secrets sets, lists and deletes secrets.
type Secrets struct{ cfg Config }

// New returns Secrets.
func New(cfg Config) *Secrets { return &Secrets{cfg: cfg} }

// Set seals a value into the registry and has the pollers that refer
// to it ask for it. The value is in no error, log or answer.
func (s *Secrets) Set(ctx context.Context, who string, req api.SetSecret) (any, error) {
	if err := api.CheckSecretName(req.Name); err != nil {
		return nil, err
	}
	if err := api.CheckSecretValue(req.Value); err != nil {
		return nil, err
	}
	for {
		t, err := s.cfg.Registry.View().Serving(req.Tenant)
		if err != nil {
			return nil, err
		}
		if _, known := t.Secrets[req.Name]; !known && len(t.Secrets) >= api.MaxSecrets {
			return nil, fault.WithHint(fault.New(fault.Exhausted, "tenant %s has %d secrets, and may have no more", t.ID, len(t.Secrets)), "delete one that is not used: midplane secret list")
		}
		rev, err := s.cfg.Registry.Secrets.Put(ctx, t, req.Name, req.Value, who, time.Now().UTC())
		if fault.Is(err, fault.Conflict) && ctx.Err() == nil {
			// Set by another admin in between: the last one counts.
			if err := s.cfg.Registry.Fresh(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if _, err := s.cfg.Registry.WaitView(ctx, rev); err != nil {
			return nil, err
		}
		s.hint(t, req.Name, rev)
		return nil, nil
	}
}

// Delete deletes a secret.
func (s *Secrets) Delete(ctx context.Context, _ string, req api.SecretRef) (any, error) {
	t, err := s.cfg.Registry.View().Declared(req.Tenant)
	if err != nil {
		return nil, err
	}
	if _, ok := t.Secrets[req.Name]; !ok {
		return nil, fault.WithHint(fault.New(fault.NotFound, "tenant %s has no such secret", t.ID), "see: midplane secret list")
	}
	rev, err := s.cfg.Registry.Secrets.Delete(ctx, t.ID, req.Name)
	if err != nil {
		return nil, err
	}
	s.hint(t, req.Name, rev)
	return nil, nil
}

// hint has the pollers that refer to a secret ask now. A poller that misses it asks
// by itself within ten seconds.
func (s *Secrets) hint(t *registry.Tenant, name string, rev uint64) {
	nc, err := s.cfg.Dialer.Control(t)
	if err != nil {
		s.cfg.Log.Warn("the pollers get no hint of a changed secret; they ask by themselves", "tenant", t.ID, "error", err)
		return
	}
	for _, p := range Users(t)[name] {
		if err := (api.Hint{Revision: t.SpecRevision, Secrets: rev}).Send(nc, p); err != nil {
			s.cfg.Log.Warn("a poller gets no hint of a changed secret; it asks by itself", "tenant", t.ID, "poller", p, "error", err)
		}
	}
}

// Users returns the pollers whose configuration refers to each secret.
func Users(t *registry.Tenant) map[string][]string {
	out := map[string][]string{}
	for _, p := range t.Spec.Pollers() {
		for _, name := range t.Spec.SecretsOf(p.ID) {
			out[name] = append(out[name], string(p.ID))
		}
	}
	return out
}

// Rows lists what is set and what is referred to, without values.
func (s *Secrets) Rows(_ context.Context, req api.ListRequest) (out []service.Row[api.Secret], err error) {
	err = service.Each(s.cfg.Registry.View(), req, func(t *registry.Tenant) {
		users := Users(t)
		add := func(name string) {
			r := api.Secret{ID: string(t.ID) + "/" + name, Tenant: string(t.ID), Name: name, Status: api.SecretMissing, Pollers: slices.Clone(users[name])}
			if r.Pollers == nil {
				r.Pollers = []string{}
			}
			if t.HasSecret(name) {
				was := t.Secrets[name]
				r.Status, r.SetAt, r.SetBy = api.SecretIsSet, &was.Set, was.By
			}
			out = append(out, service.RowOf(r.ID, r))
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

// ForPoller returns the secrets that a poller's configuration refers to, and a
// version that changes when one of them does.
func (s *Secrets) ForPoller(t *registry.Tenant, id event.Producer) (values map[string]string, version string, err error) {
	values, sum := map[string]string{}, sha256.New()
	for _, name := range t.Spec.SecretsOf(id) {
		if !t.HasSecret(name) {
			continue
		}
		// The account is in it: the values of a deleted tenant are not those of a
		// later one of the same id.
		fmt.Fprintf(sum, "%s %s %d\n", t.Account.Key, name, t.Secrets[name].Revision)
		if values[name], err = s.cfg.Registry.Secrets.Open(t, name); err != nil {
			return nil, "", err
		}
	}
	return values, hex.EncodeToString(sum.Sum(nil)[:16]), nil
}
