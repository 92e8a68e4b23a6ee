package reconcile

import (
	"context"
	"slices"
	"time"

	"midplane/api"
	"midplane/platform/control/primaries"
	"midplane/platform/registry"
)

// report writes a tenant's conditions when they changed.
func (l *Loop) report(ctx context.Context, t *registry.Tenant, nodes []registry.Presence) {
	l.mu.Lock()
	s, problem, written := l.settled[t.ID], l.problems[t.ID], l.written[t.ID]
	l.mu.Unlock()
	if problem == "" {
		problem = t.Problem
	}
	was, _, _ := registry.Get[registry.TenantStatus](l.cfg.Registry, registry.TenantKey(string(t.ID)))
	stored := was
	if stored.Revision != t.SpecRevision {
		stored.Conditions = nil // of another spec
	}
	worked := s.revision == t.WorkRevision() && s.ok
	if s.ok || s.at.IsZero() || s.unavailable {
		// Not looked at in this term or since the account changed, or nobody answered:
		// what was found before still counts.
		worked = worked || holds(stored, api.StreamsReady)
	}
	status := registry.TenantStatus{Revision: t.SpecRevision, Conditions: l.conditions(t, nodes, worked, problem)}
	if len(nodes) == 0 {
		// Without a quorum for some seconds no node's presence is stored. That says
		// nothing about tenants.
		for i, c := range status.Conditions {
			if ofNodes[c.Type] && holds(stored, c.Type) {
				status.Conditions[i] = api.Condition{Type: c.Type, OK: true}
			}
		}
	}
	if same(status, written) && same(status, was) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := l.cfg.Registry.PutStatus(ctx, registry.TenantKey(string(t.ID)), status); err != nil {
		return // tried again at the next look
	}
	l.mu.Lock()
	l.written[t.ID] = status
	l.mu.Unlock()
}

// ofNodes are the conditions that follow from what live nodes say.
var ofNodes = map[string]bool{api.AccountPushed: true, api.SchemasBound: true, api.IngressOpen: true}

func holds(s registry.TenantStatus, typ string) bool {
	return slices.ContainsFunc(s.Conditions, func(c api.Condition) bool { return c.Type == typ && c.OK })
}

func same(a, b registry.TenantStatus) bool {
	if a.Revision != b.Revision || len(a.Conditions) != len(b.Conditions) {
		return false
	}
	for i := range a.Conditions {
		if a.Conditions[i] != b.Conditions[i] {
			return false
		}
	}
	return true
}

// conditions says how far a tenant is on its way to Ready.
func (l *Loop) conditions(t *registry.Tenant, nodes []registry.Presence, worked bool, problem string) []api.Condition {
	loaded := func(rev uint64) (missing []string) {
		for _, n := range nodes {
			if n.Revision < rev {
				missing = append(missing, n.Name)
			}
		}
		return missing
	}
	cond := func(typ string, ok bool, message string) api.Condition {
		if ok {
			message = ""
		} else if problem != "" {
			message = problem
		}
		return api.Condition{Type: typ, OK: ok, Message: message}
	}
	behind := loaded(t.WorkRevision())
	var closed []string
	for _, n := range nodes {
		for _, c := range n.Closed {
			if c == string(t.ID) {
				closed = append(closed, n.Name)
			}
		}
	}
	pushed := t.Account.JWT != "" && len(nodes) > 0 && len(loaded(t.AccountRevision)) == 0
	reading := ""
	for name, cursor := range registry.Collect[registry.CursorStatus](l.cfg.Registry, "cursor."+string(t.ID)+".") {
		if cursor.Value.Reading && time.Since(cursor.Seen) < l.cfg.PrimarySilent && primaries.Live(l.cfg.Registry, name, l.cfg.PrimarySilent) {
			reading = name
		}
	}
	return []api.Condition{
		cond(api.AccountPushed, pushed, waiting("the account is not on", loaded(t.AccountRevision))),
		cond(api.StreamsReady, worked && len(t.Account.Incarnations) > 0, "the streams are being made"),
		cond(api.SchemasBound, t.Schemas != nil && len(behind) == 0, waiting("the schemas are not loaded by", behind)),
		cond(api.IngressOpen, pushed && len(behind) == 0 && len(closed) == 0, waiting("the door is not open on", append(behind, closed...))),
		cond(api.PrimaryReading, reading != "", "no primary reads this tenant yet"),
	}
}

func waiting(what string, nodes []string) string {
	if len(nodes) == 0 {
		return what + " any node yet"
	}
	for _, n := range nodes {
		what += " " + n
	}
	return what
}
