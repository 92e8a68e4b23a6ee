package serve

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"midplane/api"
	"midplane/console"
	"midplane/fault"
	"midplane/internal/run"
)

// auditWaits is how many acts may wait for the audit log, which has no leader
// now and then; auditAgain how long until the next try; flushWithin how long a
// stop may take.
const (
	auditWaits  = 1000
	auditAgain  = 2 * time.Second
	flushWithin = 3 * time.Second
)

// auditor carries what a console did for its users to the audit log. Every act
// is in the server's log, too.
type auditor struct {
	src  console.Source
	log  *slog.Logger
	acts chan api.AuditAct
}

func newAuditor(src console.Source, log *slog.Logger) *auditor {
	return &auditor{src: src, log: log, acts: make(chan api.AuditAct, auditWaits)}
}

// add takes an act and does not block: no request waits for the audit log.
func (a *auditor) add(act console.Act) {
	detail := act.Detail
	if act.Kind != "" {
		detail = "kind=" + act.Kind
	}
	one := api.AuditAct{ID: uuid.NewString(), Who: act.Who, From: act.From, Verb: act.Verb, Target: act.Target, Tenant: act.Tenant, Result: act.Result, Detail: detail}
	select {
	case a.acts <- one:
	default:
		a.missing(one, fault.New(fault.Exhausted, "%d wait for it", auditWaits))
	}
}

// part runs before the console and ends after it, so that the console's last
// acts are reported too.
func (a *auditor) part() run.Part { return run.Part{Name: "audit", Run: a.run} }

func (a *auditor) run(ctx context.Context) error {
	for {
		select {
		case act := <-a.acts:
			if !a.report(ctx, act) {
				a.flush(context.WithoutCancel(ctx), act)
				return nil
			}
		case <-ctx.Done():
			a.flush(context.WithoutCancel(ctx))
			return nil
		}
	}
}

// flush reports what is left when the server stops, for a few seconds.
func (a *auditor) flush(ctx context.Context, left ...api.AuditAct) {
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	for {
		for _, act := range left {
			if !a.report(ctx, act) {
				a.missing(act, ctx.Err())
			}
		}
		select {
		case act := <-a.acts:
			left = []api.AuditAct{act}
		default:
			return
		}
	}
}

// report sends one act until it is recorded, and returns false when ctx ended
// first. The id makes a second report the same record.
func (a *auditor) report(ctx context.Context, act api.AuditAct) bool {
	for {
		once, cancel := context.WithTimeout(ctx, answerWithin)
		err := a.src.Admin(once, api.AuditReport, act, nil)
		cancel()
		switch {
		case err == nil:
			return true
		case ctx.Err() != nil:
			return false
		case !fault.Retryable(err):
			a.missing(act, err)
			return true
		}
		select {
		case <-time.After(auditAgain):
		case <-ctx.Done():
			return false
		}
	}
}

func (a *auditor) missing(act api.AuditAct, err error) {
	a.log.Error("an act of the console is missing in the audit log", "verb", act.Verb, "who", act.Who, "error", err.Error(), "page", true)
}
