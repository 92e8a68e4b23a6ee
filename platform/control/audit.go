package control

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// auditWithin is how long a record is tried to be stored: longer than an
// election of the stream's leader takes.
const auditWithin = 10 * time.Second

// audit stores the record of an act that was done. It is for whoever acts
// without having been asked over the admin door, whose verbs are recorded by
// recorded. What is left empty is filled in: the time, an id, this node, who
// ("the control plane itself"). A record that cannot be stored is in this
// node's log, and the status says so: the act is done and cannot be undone.
func (c *Control) audit(ctx context.Context, rec api.AuditRecord) {
	if rec.ID == "" {
		rec.ID = randomToken()
	}
	if rec.Who == "" {
		rec.Who, rec.From = account.UserControl, c.cfg.Node
	}
	if rec.Result == "" {
		rec.Result = api.AuditOK
	}
	rec.Time, rec.Node = time.Now().UTC(), c.cfg.Node
	rec.Target, rec.Detail, rec.From = clip(rec.Target, maxAudit), clip(rec.Detail, maxAudit), clip(rec.From, maxAudit)
	c.tel.Log.Info("audit", "who", rec.Who, "via", rec.Via, "from", rec.From, "verb", rec.Verb, "tenant", rec.Tenant, "target", rec.Target, "result", rec.Result, "detail", rec.Detail, "id", rec.ID)
	if err := c.append(context.WithoutCancel(ctx), rec); err != nil {
		c.unrecorded.Add(1)
		c.tel.Log.Error("an act could not be recorded in the audit log", "verb", rec.Verb, "id", rec.ID, "error", err, "page", true)
	}
}

// maxAudit is what one field of a record may hold, in bytes.
const maxAudit = 500

// append tries until the record is stored or auditWithin is over.
func (c *Control) append(ctx context.Context, rec api.AuditRecord) error {
	ctx, cancel := context.WithTimeout(ctx, auditWithin)
	defer cancel()
	for {
		once, stop := context.WithTimeout(ctx, 2*time.Second)
		err := c.cfg.Audit.Append(once, rec)
		stop()
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// recorded writes down every request that changes something: before the act
// that it began, by whom and from where, and after it what it came to. What
// cannot be written down is not begun: an act that nobody can be asked about
// must not happen, and a node that dies in the middle must not hide one.
func (c *Control) recorded(verb string, h api.Handler) api.Handler {
	if api.Reads(verb) || verb == api.AuditReport {
		return h
	}
	return func(ctx context.Context, subj string, body []byte) (any, error) {
		_, who, _, err := subject.ParseRequest(subj)
		if err != nil {
			return nil, err
		}
		rec := aboutRequest(body)
		rec.ID, rec.Who, rec.Verb, rec.From = randomToken(), who, verb, c.whence(ctx, who, api.ReplyOf(ctx))
		rec.Time, rec.Node, rec.Result = time.Now().UTC(), c.cfg.Node, api.AuditBegun
		if err := c.append(ctx, rec); err != nil {
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
		c.audit(ctx, rec)
		return answer, err
	}
}

// auditProblems says what is wrong with the audit log, as this node sees it.
func (c *Control) auditProblems() (out []api.Problem) {
	for _, s := range c.cfg.Server.Streams(c.cfg.Control.Public) {
		if s.Name != registry.StreamAudit {
			continue
		}
		switch {
		case s.Leader == "":
			out = append(out, api.Problem{Severity: "critical", Message: "the audit log has no leader: nothing that changes anything is accepted",
				Hint: "are two of the three nodes up? A leader is elected within 10 seconds"})
		case s.MaxBytes > 0 && s.First > 1:
			out = append(out, api.Problem{Severity: "notice", Message: fmt.Sprintf("the audit log is full: its oldest %d records were dropped for room", s.First-1),
				Hint: "keep what is there now and then: midplane get audit --limit 0 -o json"})
		case s.MaxBytes > 0 && s.Bytes*100 > uint64(s.MaxBytes)*auditWarns:
			out = append(out, api.Problem{Severity: "warning", Message: fmt.Sprintf("the audit log is %d %% full; at 100 %% its oldest records are dropped", s.Bytes*100/uint64(s.MaxBytes)),
				Hint: "keep them elsewhere: midplane get audit --limit 0 -o json"})
		}
	}
	return out
}

// auditWarns is how full the audit log may be before the status says so, in percent.
const auditWarns = 80

// unrecordedProblem is what this node says of itself when acts are missing in
// the audit log.
func unrecordedProblem(n *atomic.Int64) string {
	if n := n.Load(); n > 0 {
		return fmt.Sprintf("%d records of acts could not be stored in the audit log; they are in this node's log", n)
	}
	return ""
}
