package control

import (
	"context"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/fault"
)

// What cannot be recorded is not begun, and the answer says so; what was done and
// cannot be recorded is shown by the node.
func TestActThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	l, cut := alone(t)
	did := 0
	act := l.admin.Guard(api.UserCreate, func(context.Context, string, []byte) (any, error) { did++; return nil, nil })
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := act(ctx, "admin.ann.user.create", []byte(`{"tenant":"acme","name":"x"}`))
		return err
	}
	if err := ask(); err != nil || did != 1 || api.Unrecorded(l.rooms.audit.Unrecorded()) != "" {
		t.Fatalf("%v, done %d times", err, did)
	}
	cut()
	if err := ask(); !fault.Is(err, fault.Unavailable) || did != 1 || !strings.Contains(err.Error(), "nothing was done") || fault.HintOf(err) == "" {
		t.Errorf("%v, done %d times", err, did)
	}
	l.rooms.audit.Record(t.Context(), api.AuditRecord{Verb: "x"})
	if got := api.Unrecorded(l.rooms.audit.Unrecorded()); !strings.Contains(got, "1 records") {
		t.Errorf("%q", got)
	}
}
