// Package primaries is what a primary may ask the control plane, and what is known
// of primaries: how far they have read, and which of them are live.
// It touches the keys of primaries in STATUS.
package primaries

import (
	"context"
	"log/slog"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/platform/registry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// Alarms raises alarms in tenants.
type Alarms interface {
	Raise(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm) error
}

// Dialer opens this node's connection into a tenant's account.
type Dialer interface {
	Control(t *registry.Tenant) (*nats.Conn, error)
}

// Config is what Primaries are given.
type Config struct {
	Registry *registry.Registry
	Alarms   Alarms
	Dialer   Dialer
	Life     time.Duration // of a primary's credentials
	Log      *slog.Logger
}

// Primaries answers what primaries ask.
type Primaries struct {
	cfg    Config
	stored once.Every // primaries whose presence was stored lately
}

// New returns Primaries.
func New(cfg Config) *Primaries { return &Primaries{cfg: cfg} }

// Tenants waits until the registry is past what the primary knows.
func (p *Primaries) Tenants(ctx context.Context, _ string, req api.CoreTenantsRequest) (any, error) {
	deadline := time.After(api.FollowWait)
	for {
		rev, changed := p.cfg.Registry.Config.Revision()
		if rev > req.Known {
			return p.toRead(), nil
		}
		select {
		case <-changed:
		case <-deadline:
			return p.toRead(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (p *Primaries) toRead() api.CoreTenantsAnswer {
	view := p.cfg.Registry.View()
	out := api.CoreTenantsAnswer{Revision: view.Revision, Tenants: []api.CoreTenant{}, Formats: p.cfg.Registry.InUse().Formats}
	for _, t := range view.Tenants {
		switch {
		case t.ID.OfSystem(): // nothing that anybody wants to know
		case t.Account.Deleted && t.Spec == nil:
			out.Tenants = append(out.Tenants, api.CoreTenant{Tenant: t.ID, Account: t.Account.Key, Incarnations: map[string]uint64{}, Deleted: true})
		case t.Readable() && len(t.Account.Incarnations) == len(event.Kinds):
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

// Credentials signs a primary's user in a tenant's account.
func (p *Primaries) Credentials(_ context.Context, who string, req api.CoreCredentialsRequest) (any, error) {
	t, err := p.cfg.Registry.View().Declared(string(req.Tenant))
	if err != nil {
		return nil, err
	}
	if !t.Open() {
		return nil, fault.New(fault.Unavailable, "tenant %s is not ready", t.ID)
	}
	name := account.UserPrimary + who
	token, err := account.IssueUser(t.Keys, account.RolePrimary, account.User{Name: name, Key: req.PublicKey, Expires: time.Now().Add(p.cfg.Life)})
	if err != nil {
		return nil, err
	}
	return api.CoreCredentialsAnswer{JWT: token, User: name, Life: api.Duration(p.cfg.Life)}, nil
}

// Cursor stores how far a primary has read a tenant.
func (p *Primaries) Cursor(ctx context.Context, who string, req api.CursorReport) (any, error) {
	if _, err := p.cfg.Registry.View().Declared(string(req.Tenant)); err != nil {
		return nil, err
	}
	for _, cur := range req.Cursors {
		if event.KindOfStream(cur.Stream) == "" {
			return nil, fault.New(fault.Invalid, "cursor of unknown stream %q", cur.Stream)
		}
	}
	key := registry.CursorKey(string(req.Tenant), who)
	if _, err := p.cfg.Registry.PutStatus(ctx, key, registry.CursorStatus{Reading: req.Reading, Cursors: req.Cursors, At: time.Now().UTC()}); err != nil {
		return nil, err
	}
	if p.stored.Due("primary."+who, 5*time.Second) {
		_, err := p.cfg.Registry.PutStatus(ctx, registry.PrimaryKey(who), time.Now().UTC())
		return nil, err
	}
	return nil, nil
}

var findingID = regexp.MustCompile(`^[A-Za-z0-9_/-]{1,200}$`)

// Finding publishes what a primary found as an event of the tenant.
func (p *Primaries) Finding(ctx context.Context, who string, req api.Finding) (any, error) {
	t, err := p.cfg.Registry.View().Declared(string(req.Tenant))
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
	return nil, p.cfg.Alarms.Raise(ctx, t, who+"/"+req.ID, req.Severity, req.Alarm)
}

// Drop forgets a primary: its cursors hold nothing back any more.
func (p *Primaries) Drop(ctx context.Context, _ string, req api.PrimaryRef) (any, error) {
	_, _, known := registry.Get[time.Time](p.cfg.Registry, registry.PrimaryKey(req.Primary))
	if !known {
		return nil, fault.New(fault.NotFound, "primary %q is not known", req.Primary)
	}
	for id := range p.cfg.Registry.View().Tenants {
		key := registry.CursorKey(string(id), req.Primary)
		if _, ok := p.cfg.Registry.Status.Get(key); ok {
			if err := p.cfg.Registry.DropStatus(ctx, key); err != nil {
				return nil, err
			}
		}
	}
	if err := p.cfg.Registry.DropStatus(ctx, registry.PrimaryUnderstandsKey(req.Primary)); err != nil {
		return nil, err
	}
	return nil, p.cfg.Registry.DropStatus(ctx, registry.PrimaryKey(req.Primary))
}
