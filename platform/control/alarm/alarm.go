// Package alarm publishes what the control plane itself has to report to a
// tenant: alarms, as events in the tenant's own stream.
// It touches nothing else.
package alarm

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/bus"
	"midplane/event"
	"midplane/internal/once"
	"midplane/internal/wait"
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

	mu      sync.Mutex
	waiting []waiting
}

// waiting is an alarm that is raised at one time only and could not be stored yet: the
// trouble that it reports often keeps its stream from answering.
type waiting struct {
	tenant *registry.Tenant
	msg    *nats.Msg
	since  time.Time
}

const (
	// againEvery is how often alarms that are not stored are tried again.
	againEvery = time.Second
	// waitsFor is how long they are, and mostWaiting how many.
	waitsFor    = time.Hour
	mostWaiting = 10_000
)

// New returns Alarms; what cannot be raised goes to log.
func New(dialer Dialer, log *slog.Logger) *Alarms { return &Alarms{dialer: dialer, log: log} }

// Raise publishes an alarm as an event of the tenant. The same finding is the
// same id, and so stored once within the duplicate window.
func (r *Alarms) Raise(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm) error {
	return r.publish(ctx, t, message(t, id, sev, a))
}

func message(t *registry.Tenant, id string, sev event.Severity, a event.Alarm) *nats.Msg {
	return Message(t, event.KindEvent, sev, event.NoSite, "midplane", event.TypeAlarm, account.UserControl+"/alarm/"+id, a)
}

func (r *Alarms) publish(ctx context.Context, t *registry.Tenant, msg *nats.Msg) error {
	js, err := r.dialer.JetStream(t)
	if err != nil {
		return err
	}
	_, err = js.PublishMsg(ctx, msg)
	return bus.Classify(err)
}

// RaiseOnce raises an alarm that is raised at one time only. What fails is logged, and
// tried again by Run until it is stored.
func (r *Alarms) RaiseOnce(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm) {
	msg := message(t, id, sev, a)
	err := r.publish(ctx, t, msg)
	if err == nil {
		return
	}
	r.failed(ctx, t, a.Message, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) < mostWaiting {
		r.waiting = append(r.waiting, waiting{tenant: t, msg: msg, since: time.Now()})
	}
}

// Run stores the alarms of RaiseOnce that could not be stored at their time, until ctx
// ends.
func (r *Alarms) Run(ctx context.Context) error {
	for wait.For(ctx, againEvery) == nil {
		r.again(ctx)
	}
	return nil
}

// again tries every alarm that waits, once, and one of a tenant when that fails.
func (r *Alarms) again(ctx context.Context) {
	r.mu.Lock()
	list := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	var left []waiting
	failed := map[event.Tenant]bool{}
	for _, w := range list {
		if !failed[w.tenant.ID] {
			err := r.publish(ctx, w.tenant, w.msg)
			if err == nil {
				continue
			}
			failed[w.tenant.ID] = true
		}
		if time.Since(w.since) < waitsFor {
			left = append(left, w)
		} else {
			r.log.Error("an alarm could not be stored for an hour and is given up", "tenant", w.tenant.ID, "alarm", string(w.msg.Data))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(left, r.waiting...)
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
