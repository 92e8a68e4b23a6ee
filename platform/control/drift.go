package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/tenants/account"
)

// driftStatus is what an account was found to be that nobody planned.
type driftStatus struct {
	Parts []string `json:"parts"`
}

func driftKey(t event.Tenant) string { return "drift." + string(t) }

// driftShown is how long the status names an account that was corrected.
const driftShown = time.Hour

// correctAccount compares what a tenant's account runs with, and what the
// registry says that it runs with, with what it was planned to be: nobody plans
// an import, an export or a mapping between tenants. What differs is told and
// signed anew.
func (l *leader) correctAccount(ctx context.Context, t *registry.Tenant) (*registry.Tenant, error) {
	if l.cfg.Pace.Drift < 0 || t.Account.JWT == "" || t.Account.Deleted || !l.compared.due(string(t.ID), l.cfg.Pace.Drift) {
		return t, nil
	}
	tokens := []string{t.Account.JWT}
	if runs := l.cfg.Server.AccountJWT(t.Account.Key); runs != "" && runs != t.Account.JWT {
		// The registry may have had a newer one for a moment already.
		if err := l.reg.Fresh(ctx); err != nil {
			return t, err
		}
		if now := l.reg.View().Tenants[t.ID]; now == nil || now.AccountRevision != t.AccountRevision {
			l.compared.forget(string(t.ID))
			return t, fault.New(fault.Conflict, "tenant %s was changed meanwhile", t.ID)
		}
		tokens = append(tokens, runs)
	}
	parts, newest, err := l.drift(t, tokens)
	if err != nil || len(parts) == 0 {
		return t, err
	}
	what := strings.Join(parts, ", ")
	l.tel.Log.Error("an account is what nobody planned, signing it anew", "tenant", t.ID, "parts", what, "page", true)
	next := t.Account
	if next.JWT, err = l.sign(t, next, newest); err != nil {
		return t, err
	}
	if t, err = l.putAccount(ctx, t, next); err != nil {
		l.compared.forget(string(t.ID))
		return t, err
	}
	l.audit(ctx, api.AuditRecord{Verb: "account.correct", Tenant: string(t.ID), Target: t.Account.Key, Detail: "differed from the plan in: " + what})
	if _, err := l.reg.PutStatus(ctx, driftKey(t.ID), driftStatus{Parts: parts}); err != nil {
		return t, err
	}
	l.alarm(ctx, t, fmt.Sprintf("drift/%d", newest.Unix()), event.Critical, event.Alarm{Alarm: "drift", Source: "control plane",
		Message: "the account was not as planned: " + what + "; it was signed anew", Hint: "the operator's signing key was used by somebody else: tell the provider"})
	return t, nil
}

// drift returns in which parts any of tokens, the registry's first, differs
// from the plan, and when the newest of them was signed.
func (l *leader) drift(t *registry.Tenant, tokens []string) (parts []string, newest time.Time, err error) {
	for i, token := range tokens {
		at, _, err := account.IssuedAt(token)
		if err != nil {
			return nil, newest, err
		}
		if at.Before(newest) {
			continue // the node takes the registry's by itself
		}
		newest = at
		found, err := l.cfg.Signer.Drift(token, l.planned(t, t.Account))
		if err != nil {
			return nil, newest, err
		}
		if len(found) == 0 && i > 0 {
			found = []string{"issue time"} // newer than the registry's, which no node would take any more
		}
		parts = append(parts, found...)
	}
	slices.Sort(parts)
	return slices.Compact(parts), newest, nil
}

// driftProblem names an account that was corrected lately.
func (c *Control) driftProblem(t *registry.Tenant) (out []api.Problem) {
	d, seen, ok := registry.Get[driftStatus](c.reg, driftKey(t.ID))
	if ok && time.Since(seen) < driftShown {
		out = append(out, api.Problem{Severity: "critical", Tenant: string(t.ID),
			Message: fmt.Sprintf("the account ran with what nobody planned (%s); it was signed anew at %s", strings.Join(d.Parts, ", "), seen.UTC().Format(time.RFC3339)),
			Hint:    "somebody has the operator's signing key, or changed the registry: see midplane get audit, and rotate the key"})
	}
	return out
}
