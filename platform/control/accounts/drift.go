package accounts

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// driftStatus is in which parts an account differed from its plan.
type driftStatus struct {
	Parts []string `json:"parts"`
}

// DriftKey is the key of STATUS that says so.
func DriftKey(t event.Tenant) string { return "drift." + string(t) }

// driftShown is how long the status names an account that was corrected.
const driftShown = time.Hour

// Server is what a Corrector asks its own server.
type Server interface {
	// AccountJWT is what the server runs an account with, "" when it has none.
	AccountJWT(accountKey string) string
}

// Recorder stores what was done in the audit log.
type Recorder interface {
	Record(ctx context.Context, rec api.AuditRecord)
}

// Alarms raises alarms in tenants.
type Alarms interface {
	RaiseOnce(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm)
}

// Corrector compares accounts with what they were planned to be, for one term of
// leading.
type Corrector struct {
	Registry *registry.Registry
	Accounts *Accounts
	Server   Server
	Audit    Recorder
	Alarms   Alarms
	Every    time.Duration // an account is compared; below 0: never
	Log      *slog.Logger

	compared once.Every // by tenant
	mu       sync.Mutex
	planned  map[event.Tenant]asPlanned
}

// asPlanned is what was found to be as planned: a JWT, and the account's record that
// says what is planned. As long as both are the same, so is the answer.
type asPlanned struct {
	revision uint64
	runs     string
}

// Correct compares what a tenant's account runs with, and what the registry says
// that it runs with, with what it was planned to be: there is never an import, an
// export or a mapping between tenants in a plan. What differs is reported, and the
// account is signed again.
func (c *Corrector) Correct(ctx context.Context, t *registry.Tenant) (*registry.Tenant, error) {
	if c.Every < 0 || t.Account.JWT == "" || t.Account.Deleted || !c.compared.Due(string(t.ID), c.Every) {
		return t, nil
	}
	tokens := []string{t.Account.JWT}
	runs := c.Server.AccountJWT(t.Account.Key)
	found := asPlanned{revision: t.AccountRevision, runs: runs}
	if c.isPlanned(t.ID, found) {
		return t, nil
	}
	if runs != "" && runs != t.Account.JWT {
		// The registry may have had a newer one for a moment already.
		if err := c.Registry.Fresh(ctx); err != nil {
			return t, err
		}
		if now := c.Registry.View().Tenants[t.ID]; now == nil || now.AccountRevision != t.AccountRevision {
			c.compared.Forget(string(t.ID))
			return t, fault.New(fault.Conflict, "tenant %s was changed in between", t.ID)
		}
		tokens = append(tokens, runs)
	}
	parts, newest, err := c.drift(t, tokens)
	if err != nil {
		return t, err
	}
	if len(parts) == 0 {
		c.note(t.ID, found)
		return t, nil
	}
	what := strings.Join(parts, ", ")
	c.Log.Error("an account is not as planned, signing it again", "tenant", t.ID, "parts", what, "page", true)
	next := t.Account
	if next.JWT, err = c.Accounts.sign(t, next, newest); err != nil {
		return t, err
	}
	if t, err = c.Accounts.Put(ctx, t, next); err != nil {
		c.compared.Forget(string(t.ID))
		return t, err
	}
	c.Audit.Record(ctx, api.AuditRecord{Verb: "account.correct", Tenant: string(t.ID), Target: t.Account.Key, Detail: "differed from the plan in: " + what})
	if _, err := c.Registry.PutStatus(ctx, DriftKey(t.ID), driftStatus{Parts: parts}); err != nil {
		return t, err
	}
	c.Alarms.RaiseOnce(ctx, t, fmt.Sprintf("drift/%d", newest.Unix()), event.Critical, event.Alarm{Alarm: "drift", Source: "control plane",
		Message: "the account was not as planned: " + what + "; it was signed again", Hint: "the operator's signing key was used by someone else: tell the provider"})
	return t, nil
}

func (c *Corrector) isPlanned(id event.Tenant, found asPlanned) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.planned[id] == found
}

func (c *Corrector) note(id event.Tenant, found asPlanned) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.planned == nil {
		c.planned = map[event.Tenant]asPlanned{}
	}
	c.planned[id] = found
}

// drift returns in which parts any of tokens, the registry's first, differs
// from the plan, and when the newest of them was signed.
func (c *Corrector) drift(t *registry.Tenant, tokens []string) (parts []string, newest time.Time, err error) {
	for i, token := range tokens {
		at, _, err := account.IssuedAt(token)
		if err != nil {
			return nil, newest, err
		}
		if at.Before(newest) {
			continue // the node takes the registry's by itself
		}
		newest = at
		found, err := c.Accounts.differs(t, token)
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

// LastDrift is what an account was lately corrected from, nil when it was not.
func LastDrift(reg *registry.Registry, t *registry.Tenant) *api.Drift {
	d, seen, ok := registry.Get[driftStatus](reg, DriftKey(t.ID))
	if !ok || time.Since(seen) >= driftShown {
		return nil
	}
	return &api.Drift{Parts: d.Parts, At: seen}
}
