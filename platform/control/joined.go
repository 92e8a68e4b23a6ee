package control

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"midplane/api"
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

// verbEnrol is what redeeming a token is called in the audit log.
const verbEnrol = "enrol"

// redeemed and refused write down what became of a token.
func (c *Control) redeemed(ctx context.Context, tok registry.Token) {
	c.audit(ctx, api.AuditRecord{Who: tok.ID, From: c.tokens.from(tok.Key), Verb: verbEnrol, Tenant: string(tok.Tenant), Target: tok.Poller, Detail: "key=" + tok.RedeemedBy})
}

func (c *Control) refused(ctx context.Context, tok registry.Token, why error) {
	if c.tell(tok.ID) {
		// Who is refused need not wait until that is on three disks.
		go c.audit(context.WithoutCancel(ctx), api.AuditRecord{Who: tok.ID, From: c.tokens.from(tok.Key), Verb: verbEnrol, Tenant: string(tok.Tenant), Target: tok.Poller, Result: string(fault.KindOf(why)), Detail: why.Error()})
	}
}
