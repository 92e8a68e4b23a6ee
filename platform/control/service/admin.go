package service

import (
	"context"
	"strings"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/platform/control/auditlog"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// Admin is the way into the admin door.
type Admin struct {
	Registry *registry.Registry
	Log      *auditlog.Log
	// Origin returns from where a user asks; the answer goes to reply.
	Origin func(ctx context.Context, who, reply string) string
	Tel    telemetry.Telemetry

	noted once.Every // admins that came with the deployment
}

// Guard returns h with what every request of an admin has to pass.
func (a *Admin) Guard(verb string, h api.Handler) api.Handler {
	return a.recorded(verb, a.fresh(verb, a.admitted(verb, h)))
}

// recorded records every request that changes something: before the act that it
// begins, by whom and from where, and after it what it came to. What cannot be
// recorded is not begun: there must be no act without a name, and a node that
// dies in the middle must not hide one.
func (a *Admin) recorded(verb string, h api.Handler) api.Handler {
	if api.Reads(verb) || verb == api.AuditReport {
		return h
	}
	return func(ctx context.Context, subj string, body []byte) (any, error) {
		_, who, _, err := subject.ParseRequest(subj)
		if err != nil {
			return nil, err
		}
		rec := aboutRequest(body)
		rec.Who, rec.Verb, rec.From = who, verb, a.Origin(ctx, who, api.ReplyOf(ctx))
		if err := a.Log.Begin(ctx, &rec); err != nil {
			return nil, fault.WithHint(fault.New(fault.Unavailable, "nothing was done, since it cannot be written down: %w", err),
				"the audit log needs two of the three nodes; see: midplane status")
		}
		answer, err := h(ctx, subj, body)
		rec.Result = api.AuditOK
		if more, ok := answer.(interface{ AuditDetail() string }); ok {
			rec.Detail = strings.TrimSpace(rec.Detail + " " + more.AuditDetail())
		}
		if err != nil {
			rec.Result, rec.Detail = string(fault.KindOf(err)), err.Error()
		}
		a.Log.Record(ctx, rec)
		return answer, err
	}
}

// fresh makes an admin request see what an earlier one stored through another
// node. What operators need when there is no quorum is answered all the same,
// but from an old copy it cannot be concluded that something does not exist.
func (a *Admin) fresh(verb string, h api.Handler) api.Handler {
	if verb == api.NodeStatus {
		return h
	}
	return func(ctx context.Context, subj string, body []byte) (any, error) {
		old := a.Registry.Fresh(ctx)
		if old != nil {
			a.Tel.Log.Warn("answering from this node's copy of the registry", "verb", verb, "error", old)
		}
		answer, err := h(ctx, subj, body)
		if old != nil && fault.Is(err, fault.NotFound) {
			return nil, old
		}
		return answer, err
	}
}

// admitted refuses an admin that was revoked, and notes one that the registry
// does not know yet: those that came with the deployment.
func (a *Admin) admitted(verb string, h api.Handler) api.Handler {
	return func(ctx context.Context, subj string, body []byte) (any, error) {
		_, who, _, err := subject.ParseRequest(subj)
		if err != nil {
			return nil, err
		}
		u, known := a.Registry.View().Admins[who]
		switch {
		case known && u.Newer() != nil:
			return nil, fault.Wrap(fault.Other, u.Newer(), "admin %s", who)
		case known && !u.Live():
			return nil, fault.WithHint(fault.New(fault.Denied, "admin %s was revoked at %s", who, u.Revoked.Format(time.RFC3339)), "another admin can make a new one, with another name")
		case !known && verb != api.NodeStatus && a.noted.Due("unknown admin/"+who, time.Minute):
			nctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			_, err := a.Registry.Users.Create(nctx, registry.Operators, registry.User{Name: who, Role: account.RoleAdmin, Subs: []string{}, Created: time.Now().UTC().Truncate(time.Second)})
			cancel()
			if err != nil && !fault.Is(err, fault.Conflict) {
				a.Tel.Log.Debug("an admin is not noted", "admin", who, "error", err)
			}
		}
		return h(ctx, subj, body)
	}
}
