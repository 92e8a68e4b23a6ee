package consume

import (
	"context"
	"log/slog"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/internal/wait"
	"midplane/primary/store"
)

// reporter reports findings to the control plane, which publishes them as
// events. A finding that is reported twice is a duplicate there.
type reporter struct {
	core  ControlPlane
	store store.Findings
	found <-chan struct{} // nudged when there are some
	log   *slog.Logger
}

// run reports until ctx ends, each finding until the control plane knows it.
func (r *reporter) run(ctx context.Context) error {
	pause := wait.NewGrowing(500*time.Millisecond, 30*time.Second)
	outcome := once.Log{To: r.log, Fails: "findings not reported, trying again", Works: "findings reported"}
	for ctx.Err() == nil {
		left, err := r.some(ctx)
		if ctx.Err() != nil {
			return nil
		}
		outcome.Note(err)
		switch {
		case err != nil:
			if pause.For(ctx) != nil {
				return nil
			}
		case left:
			pause.Reset()
		default:
			pause.Reset()
			select {
			case <-ctx.Done():
				return nil
			case <-r.found:
			}
		}
	}
	return nil
}

// some reports the oldest findings. left says that there may be more.
func (r *reporter) some(ctx context.Context) (left bool, err error) {
	const some = 100
	pending, err := r.store.Unreported(ctx, some)
	if err != nil {
		return false, err
	}
	for _, f := range pending {
		ask, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := r.core.Do(ask, api.CoreFinding, api.Finding{Tenant: f.Tenant, ID: f.ID, Severity: f.Severity, Alarm: f.Alarm}, nil)
		cancel()
		if err != nil && fault.Retryable(err) {
			return false, err
		}
		if err != nil { // will never be taken, for instance since the tenant is gone: it stays in our own alarms
			r.log.Error("finding refused by the control plane", "tenant", f.Tenant, "finding", f.ID, "error", err)
		}
		if err := r.store.Reported(ctx, f.Pos); err != nil {
			return false, err
		}
	}
	return len(pending) == some, nil
}
