// Package channel is what a tenant's own users may ask the control plane: pollers
// for their configuration and secrets, and to report; those that renew their
// credentials for new ones. Every request is signed by its user.
// It touches pollers' reports in STATUS; what else it answers, other rooms keep.
package channel

import (
	"context"
	"maps"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/platform/control/users"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// Users renews credentials.
type Users interface {
	Renew(ctx context.Context, t *registry.Tenant, u registry.User) (any, error)
}

// Secrets opens what a poller's configuration refers to.
type Secrets interface {
	ForPoller(t *registry.Tenant, id event.Producer) (values map[string]string, version string, err error)
}

// Config is what a Channel is given.
type Config struct {
	Registry *registry.Registry
	Users    Users
	Secrets  Secrets
	// Understands is what this node understands: more is not kept of a poller's report.
	Understands api.Understands
}

// Channel answers what users of tenants ask.
type Channel struct {
	cfg     Config
	waiting waitList
	stored  once.Every // reports that were stored lately, by key
	pieces  pieces
}

// New returns a Channel.
func New(cfg Config) *Channel { return &Channel{cfg: cfg, pieces: pieces{of: map[string]named{}}} }

// Verbs is what may be asked.
func (c *Channel) Verbs() map[string]api.Handler {
	return map[string]api.Handler{
		api.ChannelConfig:  signed(c, c.config),
		api.ChannelParts:   signed(c, c.parts),
		api.ChannelStatus:  signed(c, c.status),
		api.ChannelSecrets: signed(c, c.secrets),
		api.ChannelRenew: signed(c, func(ctx context.Context, t *registry.Tenant, u registry.User, _ api.RenewRequest) (any, error) {
			return c.cfg.Users.Renew(ctx, t, u)
		}),
	}
}

// signed finds out who asks and checks the signature. Account and user in the
// subject are from the server, but a user that may fetch messages can aim a
// delivery at control.<other>.…: so nothing counts without the user's own
// signature, and the role is the registry's.
func signed[Req any](c *Channel, f func(ctx context.Context, t *registry.Tenant, u registry.User, req Req) (any, error)) api.Handler {
	return func(ctx context.Context, subj string, body []byte) (any, error) {
		accountKey, user, verb, err := subject.ParseControl(subj)
		if err != nil {
			return nil, err
		}
		t := c.cfg.Registry.View().ByKey[accountKey]
		if t == nil || t.Spec == nil {
			return nil, fault.New(fault.Denied, "account is not known")
		}
		u, ok := t.Users[user]
		if !ok {
			return nil, fault.New(fault.Denied, "user %s/%s is not known", t.ID, user)
		}
		if !u.Live() {
			return nil, users.RevokedError(t, u)
		}
		var req api.Signed
		if err := api.Decode(body, &req); err != nil {
			return nil, err
		}
		if skew := time.Since(req.Time).Abs(); skew > api.MaxClockSkew {
			return nil, fault.WithHint(fault.New(fault.Denied, "the request's time is %s off", skew.Round(time.Second)), "set the clock of the poller's machine")
		}
		if !account.Verify(u.PublicKey, api.SignedBytes(user, verb, req.Time, req.Body), req.Signature) {
			return nil, fault.New(fault.Denied, "the request is not signed by user %s/%s", t.ID, user)
		}
		var asked Req
		if err := api.Decode(req.Body, &asked); err != nil {
			return nil, err
		}
		return f(ctx, t, u, asked)
	}
}

// config answers with the poller's configuration at the spec's revision.
func (c *Channel) config(ctx context.Context, t *registry.Tenant, u registry.User, req api.ConfigRequest) (any, error) {
	if u.Role != account.RolePoller {
		return nil, fault.New(fault.Denied, "role %s has no configuration", u.Role)
	}
	if req.Want > t.SpecRevision {
		var err error
		if t, err = c.catchUp(ctx, t, req.Want); err != nil {
			return nil, err
		}
	}
	var types map[event.Type]int
	if slices.Contains(req.Reads, api.ReadsTypes) {
		types = c.cfg.Registry.InUse().Types
	}
	var formats api.Formats
	if slices.Contains(req.Reads, api.ReadsFormats) {
		formats = c.cfg.Registry.NodeFormats()
	}
	var pace *api.Pace
	if slices.Contains(req.Reads, api.ReadsPace) {
		p := t.Spec.Pace(len(c.cfg.Registry.LiveNodes()), len(t.Pollers()))
		pace = &p
	}
	polls := c.polls(t, u, req)
	if req.Have == t.SpecRevision {
		return api.PollerConfig{Unchanged: true, Revision: req.Have, Pace: pace, Types: types, Formats: formats, Polls: polls}, nil
	}
	cfg, err := c.devices(t, u, slices.Contains(req.Reads, api.ReadsParts))
	if err != nil {
		return nil, err
	}
	cfg.Revision, cfg.Pace, cfg.Types, cfg.Formats, cfg.Polls = t.SpecRevision, pace, types, formats, polls
	return cfg, nil
}

// polls has a poller that can send what changed, when every program that reads it
// understands that; nil otherwise.
func (c *Channel) polls(t *registry.Tenant, u registry.User, req api.ConfigRequest) *api.Polls {
	if !slices.Contains(req.Reads, api.ReadsPolls) || c.cfg.Registry.InUse().Formats.Number(api.FormatPolls) < 2 {
		return nil
	}
	out := &api.Polls{
		MaxMessage: int(t.Spec.Quota.MessageSize), State: t.Account.Incarnations[event.StreamState],
		Ledger: c.cfg.Registry.InUse().Formats.Number(api.FormatPolls) >= api.PollsWithLedger,
	}
	for _, r := range c.cfg.Registry.Resends(string(t.ID), u.Name, time.Now()) {
		if r.Messages == nil { // an older poller reads only these
			out.Resend = append(out.Resend, r)
		} else {
			out.Missing = append(out.Missing, r)
		}
	}
	return out
}

// catchUp returns the tenant as the registry has it at revision want at least.
// A node that is behind catches up within a moment; a request for what has not been
// stored anywhere must not take all places while it waits.
func (c *Channel) catchUp(ctx context.Context, t *registry.Tenant, want uint64) (*registry.Tenant, error) {
	if have, _ := c.cfg.Registry.Config.Revision(); have >= want {
		return still(c.cfg.Registry.View(), t)
	}
	leave, ok := c.waiting.enter(t.Account.Key)
	if !ok {
		return nil, fault.New(fault.Exhausted, "too many requests of tenant %s wait for a configuration", t.ID)
	}
	defer leave()
	wait, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	view, err := c.cfg.Registry.WaitView(wait, want)
	if err != nil {
		return nil, err
	}
	return still(view, t)
}

// still returns the tenant in a newer view: the same account, still declared.
func still(view *registry.View, t *registry.Tenant) (*registry.Tenant, error) {
	now := view.Tenants[t.ID]
	if now == nil || now.Spec == nil || now.Account.Key != t.Account.Key {
		return nil, fault.New(fault.Denied, "the tenant is gone")
	}
	return now, nil
}

// reportEvery is how often an unchanged report of a poller is stored: each that comes
// after ten seconds, also when its way was shorter than that of the one before.
const reportEvery = 9 * time.Second

// What is stored of a report, in bytes: STATUS is kept by every node in memory.
const (
	maxProblem = 500
	maxVersion = 64
)

// status stores what a poller reports.
func (c *Channel) status(ctx context.Context, t *registry.Tenant, u registry.User, req api.PollerReport) (any, error) {
	if u.Role != account.RolePoller {
		return nil, fault.New(fault.Denied, "role %s does not report", u.Role)
	}
	req.Problem, req.Version = registry.Clip(req.Problem, maxProblem), registry.Clip(req.Version, maxVersion)
	understands := api.Understands{Formats: req.Formats, Types: req.Types}.KnownTo(c.cfg.Understands)
	req.Formats, req.Types = understands.Formats, understands.Types
	req.Outgoing = slices.DeleteFunc(req.Outgoing, func(o api.Outgoing) bool { return event.KindOfStream(o.Stream) == "" })
	req.Outgoing = req.Outgoing[:min(len(req.Outgoing), len(event.Kinds))]
	key := registry.PollerKey(string(t.ID), u.Name)
	old, seen, ok := registry.Get[registry.PollerStatus](c.cfg.Registry, key)
	if req.Held != nil && !slices.Contains(api.Limits, req.Held.Limit) {
		return nil, fault.New(fault.Invalid, "no limit is named %q", registry.Clip(req.Held.Limit, maxVersion))
	}
	unchanged := ok && old.PollerReport.Revision == req.Revision && old.Problem == req.Problem && old.Version == req.Version && (old.Held == nil) == (req.Held == nil) && (old.Thinned == nil) == (req.Thinned == nil) && (old.Overflow == nil) == (req.Overflow == nil) &&
		maps.Equal(old.Formats, req.Formats) && maps.Equal(old.Types, req.Types)
	if unchanged && time.Since(seen) < reportEvery || !c.stored.Due(key, time.Second) {
		return nil, nil
	}
	_, err := c.cfg.Registry.PutStatus(ctx, key, registry.PollerStatus{PollerReport: req, At: time.Now().UTC()})
	return nil, err
}

// secrets gives a poller the secrets that its own configuration refers
// to, sealed for the key it has sent: the answer may be aimed at any subject
// of its tenant.
func (c *Channel) secrets(ctx context.Context, t *registry.Tenant, u registry.User, req api.SecretsRequest) (any, error) {
	if u.Role != account.RolePoller || !u.Live() {
		return nil, fault.New(fault.Denied, "user %s/%s is given no secrets", t.ID, u.Name)
	}
	t, err := c.catchUp(ctx, t, req.Want)
	if err != nil {
		return nil, err
	}
	values, version, err := c.cfg.Secrets.ForPoller(t, event.Producer(u.Name))
	if err != nil {
		return nil, err
	}
	out := api.SecretsAnswer{Version: version}
	if req.Have == out.Version {
		out.Unchanged = true
		return out, nil
	}
	out.Sender, out.Sealed, err = account.SealTo(req.Key, values)
	return out, err
}
