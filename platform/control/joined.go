package control

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/tenants/account"
)

// joined are the pollers of a tenant that came by a token and that its file
// does not declare, by name. Once it does, the declaration counts.
func joined(t *registry.Tenant) []registry.User {
	var out []registry.User
	for u := range maps.Values(t.Users) {
		if u.Role != account.RolePoller || u.Site == "" {
			continue
		}
		if _, declared := t.Spec.SiteOf(event.Producer(u.Name)); !declared {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b registry.User) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// redeemed and refused say what became of a token.
func (c *Control) redeemed(_ context.Context, tok registry.Token) {
	c.tel.Log.Info("a poller has enrolled", "token", tok.ID, "tenant", tok.Tenant, "poller", tok.Poller, "key", tok.RedeemedBy)
}

func (c *Control) refused(_ context.Context, tok registry.Token, why error) {
	if !tok.Locked.IsZero() && !c.seen.due("enrol."+tok.ID, refusedEvery) {
		return
	}
	c.tel.Log.Warn("an enrolment was refused", "token", tok.ID, "tenant", tok.Tenant, "poller", tok.Poller, "failures", tok.Failures, "kind", fault.KindOf(why), "error", why)
}
