package primaries

import (
	"context"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// Resend keeps that a poller is to send all states of some devices again, or some
// messages once more, and has it ask now. Devices that it does not watch are left out:
// nothing would come of them.
func (p *Primaries) Resend(ctx context.Context, _ string, req api.ResendRequest) (any, error) {
	if n := len(req.Devices) + len(req.Messages); n == 0 || n > api.MaxResend {
		return nil, fault.New(fault.Invalid, "%d devices and ranges of messages are asked for, want 1 to %d", n, api.MaxResend)
	}
	for _, d := range req.Devices {
		if err := event.CheckEntity(d); err != nil {
			return nil, err
		}
	}
	for _, m := range req.Messages {
		if err := m.Check(); err != nil {
			return nil, err
		}
	}
	t, err := p.cfg.Registry.View().Declared(req.Tenant)
	if err != nil {
		return nil, err
	}
	if u, ok := t.Users[req.Poller]; !ok || u.Role != account.RolePoller || !u.Live() {
		return nil, fault.New(fault.NotFound, "tenant %s has no poller %q", t.ID, registry.Clip(req.Poller, 63))
	}
	// An older node would lose the messages from what is kept.
	if n := p.cfg.Registry.InUse().Formats.Number(api.FormatPolls); len(req.Messages) > 0 && n < api.PollsWithLedger {
		return nil, fault.WithHint(fault.New(fault.Conflict, "messages are not asked for once more before the upgrade is ended"), "midplane upgrade status")
	}
	var want []api.Resend
	for _, d := range watched(t, req) {
		want = append(want, api.Resend{Device: d})
	}
	for _, m := range req.Messages {
		want = append(want, api.Resend{Messages: &m})
	}
	if len(want) == 0 {
		return nil, nil
	}
	fresh, err := p.cfg.Registry.AskResend(ctx, string(t.ID), req.Poller, want, time.Now().UTC())
	if err == nil && fresh {
		p.hint(t, req.Poller)
	}
	return nil, err
}

// watched returns which of the devices the poller watches.
func watched(t *registry.Tenant, req api.ResendRequest) (out []event.Entity) {
	asked := map[event.Entity]bool{}
	for _, d := range req.Devices {
		asked[d] = true
	}
	for d := range t.Spec.WatchedBy(event.Producer(req.Poller)) { // without a declaration it watches none
		if asked[d.ID] {
			out = append(out, d.ID)
		}
	}
	return out
}

// hint has a poller ask now: any hint does. One that misses it asks by itself within
// ten seconds.
func (p *Primaries) hint(t *registry.Tenant, poller string) {
	nc, err := p.cfg.Dialer.Control(t)
	if err == nil {
		err = api.Hint{Revision: t.SpecRevision}.Send(nc, poller)
	}
	if err != nil {
		p.cfg.Log.Debug("a poller gets no hint that states are asked for; it asks by itself", "tenant", t.ID, "poller", poller, "error", err)
	}
}
