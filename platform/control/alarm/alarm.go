// Package alarm publishes what the control plane itself has to report to a
// tenant: alarms, as events in the tenant's own stream.
// It touches nothing else.
package alarm

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/bus"
	"midplane/event"
	"midplane/internal/once"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// Dialer opens connections into tenants' accounts.
type Dialer interface {
	JetStream(t *registry.Tenant) (jetstream.JetStream, error)
}

// Alarms raises alarms in tenants.
type Alarms struct {
	dialer Dialer
	log    *slog.Logger
}

// New returns Alarms; what cannot be raised goes to log.
func New(dialer Dialer, log *slog.Logger) *Alarms { return &Alarms{dialer: dialer, log: log} }

// Raise publishes an alarm as an event of the tenant. The same finding is the
// same id, and so stored once within the duplicate window.
func (r *Alarms) Raise(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm) error {
	js, err := r.dialer.JetStream(t)
	if err != nil {
		return err
	}
	msgID := account.UserControl + "/alarm/" + id
	_, err = js.PublishMsg(ctx, Message(t, event.KindEvent, sev, event.NoSite, "midplane", event.TypeAlarm, msgID, a))
	return bus.Classify(err)
}

// RaiseOnce raises an alarm that is raised at one time only; a failure is logged.
func (r *Alarms) RaiseOnce(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm) {
	if err := r.Raise(ctx, t, id, sev, a); err != nil {
		r.failed(ctx, t, a.Message, err)
	}
}

// RaiseHourly raises an alarm for a state that lasts, unless raised notes that it
// was raised in the last hour. What fails is logged, and due again at once.
func (r *Alarms) RaiseHourly(ctx context.Context, raised *once.Every, t *registry.Tenant, id string, sev event.Severity, a event.Alarm) {
	key := string(t.ID) + "/" + id
	if !raised.Due(key, time.Hour) {
		return
	}
	if err := r.Raise(ctx, t, id, sev, a); err != nil {
		raised.Forget(key)
		r.failed(ctx, t, a.Alarm, err)
	}
}

func (r *Alarms) failed(ctx context.Context, t *registry.Tenant, what string, err error) {
	if ctx.Err() == nil {
		r.log.Warn("alarm not stored", "tenant", t.ID, "alarm", what, "error", err)
	}
}
