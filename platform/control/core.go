package control

import (
	"context"
	"regexp"
	"strings"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/subject"
	"midplane/tenants"
	"midplane/tenants/account"
)

// coreVerbs is what primaries may ask.
func (c *Control) coreVerbs() map[string]api.Handler {
	return map[string]api.Handler{
		api.CoreTenants:     handler(c.coreTenants),
		api.CoreCredentials: handler(c.coreCredentials),
		api.CoreCursor:      handler(c.coreCursor),
		api.CoreFinding:     handler(c.coreFinding),
		api.AuditReport:     handler(c.auditReport),
	}
}

// coreTenants waits until the registry is past what the primary knows.
func (c *Control) coreTenants(ctx context.Context, _ string, req api.CoreTenantsRequest) (any, error) {
	deadline := time.After(api.FollowWait)
	for {
		rev, changed := c.reg.Config.Revision()
		if rev > req.Known {
			return c.toRead(), nil
		}
		select {
		case <-changed:
		case <-deadline:
			return c.toRead(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *Control) toRead() api.CoreTenantsAnswer {
	view := c.reg.View()
	out := api.CoreTenantsAnswer{Revision: view.Revision, Tenants: []api.CoreTenant{}}
	for _, t := range view.Tenants {
		switch {
		case t.Account.Deleted && t.Spec == nil:
			out.Tenants = append(out.Tenants, api.CoreTenant{Tenant: t.ID, Account: t.Account.Key, Incarnations: map[string]uint64{}, Deleted: true})
		case t.Readable() && len(t.Account.Incarnations) == len(streamKinds):
			out.Tenants = append(out.Tenants, api.CoreTenant{Tenant: t.ID, Name: t.Spec.Name, Account: t.Account.Key, Incarnations: t.Account.Incarnations, Lines: linesOf(t.Spec)})
		}
	}
	return out
}

// linesOf returns how events of the tenant's own types read.
func linesOf(s *tenants.Spec) map[string]string {
	lines := map[string]string{}
	for _, sc := range s.Schemas {
		if sc.Line != "" {
			lines[string(sc.Type)] = sc.Line
		}
	}
	return lines
}

// coreCredentials signs a primary's user in a tenant's account.
func (c *Control) coreCredentials(_ context.Context, who string, req api.CoreCredentialsRequest) (any, error) {
	t, err := c.tenant(string(req.Tenant))
	if err != nil {
		return nil, err
	}
	if !t.Open() {
		return nil, fault.New(fault.Unavailable, "tenant %s is not ready", t.ID)
	}
	name := account.UserPrimary + who
	token, err := account.IssueUser(t.Keys, account.RolePrimary, account.User{Name: name, Key: req.PublicKey, Expires: time.Now().Add(c.cfg.Pace.Life)})
	if err != nil {
		return nil, err
	}
	return api.CoreCredentialsAnswer{JWT: token, User: name, Life: api.Duration(c.cfg.Pace.Life)}, nil
}

func (c *Control) coreCursor(ctx context.Context, who string, req api.CursorReport) (any, error) {
	if _, err := c.tenant(string(req.Tenant)); err != nil {
		return nil, err
	}
	for _, cur := range req.Cursors {
		if event.KindOfStream(cur.Stream) == "" {
			return nil, fault.New(fault.Invalid, "cursor of unknown stream %q", cur.Stream)
		}
	}
	key := registry.CursorKey(string(req.Tenant), who)
	if _, err := c.reg.PutStatus(ctx, key, registry.CursorStatus{Reading: req.Reading, Cursors: req.Cursors, At: time.Now().UTC()}); err != nil {
		return nil, err
	}
	if c.seen.due("primary."+who, 5*time.Second) {
		_, err := c.reg.PutStatus(ctx, registry.PrimaryKey(who), time.Now().UTC())
		return nil, err
	}
	return nil, nil
}

var findingID = regexp.MustCompile(`^[A-Za-z0-9_/-]{1,200}$`)

// coreFinding publishes what a primary found as an event of the tenant.
func (c *Control) coreFinding(ctx context.Context, who string, req api.Finding) (any, error) {
	t, err := c.tenant(string(req.Tenant))
	if err != nil {
		return nil, err
	}
	if !findingID.MatchString(req.ID) || req.Severity.Level() < 0 {
		return nil, fault.New(fault.Invalid, "finding %q of severity %q is not well formed", req.ID, req.Severity)
	}
	if !t.Open() {
		return nil, fault.New(fault.Unavailable, "tenant %s is not ready", t.ID)
	}
	req.Alarm.Source = "primary " + who
	return nil, c.raise(ctx, t, who+"/"+req.ID, req.Severity, req.Alarm)
}

// channelVerbs is what a tenant's own users may ask.
func (c *Control) channelVerbs() map[string]api.Handler {
	return map[string]api.Handler{
		api.ChannelConfig:  channel(c, c.channelConfig),
		api.ChannelStatus:  channel(c, c.channelStatus),
		api.ChannelSecrets: channel(c, c.channelSecrets),
		api.ChannelRenew:   channel(c, c.channelRenew),
	}
}

// channel finds out who asks and checks the signature. Account and user in the
// subject are the server's word, but whoever may fetch messages can aim a
// delivery at control.<other>.…: so nothing counts without the user's own
// signature, and the role is the registry's.
func channel[Req any](c *Control, f func(ctx context.Context, t *registry.Tenant, u registry.User, req Req) (any, error)) api.Handler {
	return func(ctx context.Context, subj string, body []byte) (any, error) {
		accountKey, user, verb, err := subject.ParseControl(subj)
		if err != nil {
			return nil, err
		}
		t := c.reg.View().ByKey[accountKey]
		if t == nil || t.Spec == nil {
			return nil, fault.New(fault.Denied, "account is not known")
		}
		u, ok := t.Users[user]
		if !ok {
			return nil, fault.New(fault.Denied, "user %s/%s is not known", t.ID, user)
		}
		if !u.Live() {
			return nil, revokedUser(t, u)
		}
		var signed api.Signed
		if err := api.Decode(body, &signed); err != nil {
			return nil, err
		}
		if skew := time.Since(signed.Time).Abs(); skew > api.MaxClockSkew {
			return nil, fault.WithHint(fault.New(fault.Denied, "the request's time is %s off", skew.Round(time.Second)), "set the clock of the poller's machine")
		}
		if !account.Verify(u.PublicKey, api.SignedBytes(user, verb, signed.Time, signed.Body), signed.Signature) {
			return nil, fault.New(fault.Denied, "the request is not signed by user %s/%s", t.ID, user)
		}
		var req Req
		if err := api.Decode(signed.Body, &req); err != nil {
			return nil, err
		}
		return f(ctx, t, u, req)
	}
}

// channelConfig answers with the poller's configuration at the spec's revision.
func (c *Control) channelConfig(ctx context.Context, t *registry.Tenant, u registry.User, req api.ConfigRequest) (any, error) {
	if u.Role != account.RolePoller {
		return nil, fault.New(fault.Denied, "role %s has no configuration", u.Role)
	}
	if req.Want > t.SpecRevision {
		var err error
		if t, err = c.catchUp(ctx, t, req.Want); err != nil {
			return nil, err
		}
	}
	if req.Have == t.SpecRevision {
		return api.PollerConfig{Unchanged: true, Revision: req.Have}, nil
	}
	cfg, ok := t.Spec.PollerConfig(event.Producer(u.Name))
	if !ok { // not, or no longer, declared: nothing to do
		cfg = api.PollerConfig{Tenant: t.ID, Site: u.Site, Poller: event.Producer(u.Name)}
	}
	cfg.Revision = t.SpecRevision
	return cfg, nil
}

// catchUp returns the tenant as the registry has it at revision want at least.
// A node that is behind catches up within a moment; who asks for what nobody
// has stored must not hold everybody's places meanwhile.
func (c *Control) catchUp(ctx context.Context, t *registry.Tenant, want uint64) (*registry.Tenant, error) {
	if have, _ := c.reg.Config.Revision(); have >= want {
		return c.still(c.reg.View(), t)
	}
	leave, ok := c.waiting.enter(t.Account.Key)
	if !ok {
		return nil, fault.New(fault.Exhausted, "too many requests of tenant %s wait for a configuration", t.ID)
	}
	defer leave()
	wait, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	view, err := c.reg.WaitView(wait, want)
	if err != nil {
		return nil, err
	}
	return c.still(view, t)
}

// still returns the tenant in a newer view: the same account, still declared.
func (c *Control) still(view *registry.View, t *registry.Tenant) (*registry.Tenant, error) {
	now := view.Tenants[t.ID]
	if now == nil || now.Spec == nil || now.Account.Key != t.Account.Key {
		return nil, fault.New(fault.Denied, "the tenant is gone")
	}
	return now, nil
}

// reportEvery is how often an unchanged report of a poller is stored.
const reportEvery = 10 * time.Second

// What is stored of a report, in bytes: STATUS is kept by every node in memory.
const (
	maxProblem = 500
	maxVersion = 64
)

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "?")
}

func (c *Control) channelStatus(ctx context.Context, t *registry.Tenant, u registry.User, req api.PollerReport) (any, error) {
	if u.Role != account.RolePoller {
		return nil, fault.New(fault.Denied, "role %s does not report", u.Role)
	}
	req.Problem, req.Version = clip(req.Problem, maxProblem), clip(req.Version, maxVersion)
	key := registry.PollerKey(string(t.ID), u.Name)
	old, seen, ok := registry.Get[registry.PollerStatus](c.reg, key)
	unchanged := ok && old.PollerReport.Revision == req.Revision && old.Problem == req.Problem && old.Version == req.Version
	if unchanged && time.Since(seen) < reportEvery || !c.seen.due(key, time.Second) {
		return nil, nil
	}
	_, err := c.reg.PutStatus(ctx, key, registry.PollerStatus{PollerReport: req, At: time.Now().UTC()})
	return nil, err
}
