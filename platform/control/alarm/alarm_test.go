package alarm

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/internal/once"
	"midplane/platform/registry"
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
	acme := &registry.Tenant{ID: "acme"}
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
