package alarm

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/internal/once"
	"midplane/platform/registry"
	"midplane/schemas"
)

// unreachable is a tenant that cannot be connected to; it counts who tries.
type unreachable struct{ tries int }

func (u *unreachable) JetStream(*registry.Tenant) (jetstream.JetStream, error) {
	u.tries++
	return nil, errors.New("not now")
}

// An alarm about a state that lasts is raised once an hour, but one that was not
// stored is due again at once.
func TestAlarmThatIsNotStoredIsDueAgain(t *testing.T) {
	var log bytes.Buffer
	dialer := &unreachable{}
	alarms := New(dialer, slog.New(slog.NewTextHandler(&log, nil)))
	acme := &registry.Tenant{ID: "acme", Schemas: new(schemas.Set)}
	var raised once.Every
	for range 2 {
		alarms.RaiseHourly(t.Context(), &raised, acme, "backlog/EVENTS", event.Warning, event.Alarm{Alarm: "backlog"})
	}
	if n := strings.Count(log.String(), "alarm not stored"); dialer.tries != 2 || n != 2 {
		t.Errorf("tried %d times, logged %d times", dialer.tries, n)
	}
	raised.Due("acme/drift", 0) // as if it was raised a moment ago
	alarms.RaiseHourly(t.Context(), &raised, acme, "drift", event.Critical, event.Alarm{Alarm: "drift"})
	if dialer.tries != 2 {
		t.Error("it was raised again within the hour")
	}
}

type publisher interface{ jetstream.JetStream }

// reachable is a tenant whose stream does not answer at first.
type reachable struct {
	publisher
	refuse int
	stored []string
}

func (r *reachable) JetStream(*registry.Tenant) (jetstream.JetStream, error) { return r, nil }

func (r *reachable) PublishMsg(_ context.Context, m *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if r.refuse--; r.refuse >= 0 {
		return nil, nats.ErrTimeout
	}
	r.stored = append(r.stored, m.Header.Get(event.HeaderMsgID))
	return &jetstream.PubAck{}, nil
}

// An alarm that is raised at one time only is not lost when its stream does not answer
// at that moment.
func TestAlarmOfOneTimeIsTriedAgain(t *testing.T) {
	dialer := &reachable{refuse: 3}
	alarms := New(dialer, slog.New(slog.DiscardHandler))
	acme := &registry.Tenant{ID: "acme", Schemas: new(schemas.Set)}
	for _, id := range []string{"a", "b"} {
		alarms.RaiseOnce(t.Context(), acme, id, event.Critical, event.Alarm{Alarm: "replica-diverged"})
	}
	for range 4 {
		alarms.again(t.Context())
	}
	if want := []string{"midplane-control/alarm/a", "midplane-control/alarm/b"}; !slices.Equal(dialer.stored, want) {
		t.Errorf("stored %v, want %v", dialer.stored, want)
	}
	if len(alarms.waiting) > 0 {
		t.Errorf("%d still wait", len(alarms.waiting))
	}
}
