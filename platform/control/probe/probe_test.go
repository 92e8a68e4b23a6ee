package probe

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/ingress/admit"
	"midplane/schemas/catalog"
	"midplane/subject"
	"midplane/tenants"
	"midplane/tenants/account"
)

func TestAfter(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	later := at.Add(5 * time.Second)
	bad := errors.New("no answer")
	for what, x := range map[string]struct {
		was  *api.Probe
		err  error
		want api.Probe
	}{
		"the first succeeds": {nil, nil, api.Probe{At: later, TookMS: 2.5}},
		"the first fails":    {nil, bad, api.Probe{At: later, Failures: 1, Since: &later, Problem: "no answer"}},
		"fails after success": {&api.Probe{At: at, TookMS: 1}, bad,
			api.Probe{At: later, TookMS: 1, Failures: 1, Since: &later, Problem: "no answer"}},
		"fails again": {&api.Probe{At: at, TookMS: 1, Failures: 2, Since: &at, Problem: "x"}, bad,
			api.Probe{At: later, TookMS: 1, Failures: 3, Since: &at, Problem: "no answer"}},
		"succeeds again": {&api.Probe{At: at, TookMS: 1, Failures: 2, Since: &at, Problem: "x"}, nil, api.Probe{At: later, TookMS: 2.5}},
	} {
		if diff := cmp.Diff(x.want, *after(x.was, later, 2500*time.Microsecond, x.err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

// A door takes what nodes publish, one entity for each, and the tenant is one that
// nobody else can declare.
func TestDoorTakesTheMessage(t *testing.T) {
	spec, err := Spec()
	if err != nil {
		t.Fatal(err)
	}
	snap := &admit.Snapshot{Tenant: spec.ID, Users: map[string]admit.User{account.UserProbe: {Role: account.RoleProducer, Site: event.NoSite}},
		Schemas: catalog.Set(), Capability: "secret", MaxMessage: int(spec.Quota.MessageSize)}
	for _, node := range []string{"n1", "n2"} {
		m, id := message(node)
		reply := subject.InboxPrefix(account.UserProbe) + ".x"
		producer, drop := admit.Screen(m.Subject, reply)
		if drop != admit.DropNone {
			t.Fatal(drop)
		}
		got, refusal := admit.Admit(snap, producer, admit.Input{Subject: m.Subject, Reply: reply, Header: m.Header, Data: m.Data}, time.Now(), func() string { return "new" })
		if refusal != nil {
			t.Fatalf("%+v", refusal)
		}
		if got.In.Entity != event.Entity(node) || got.In.Kind != event.KindState || got.Msg.Header[event.HeaderID][0] != id {
			t.Errorf("%+v", got)
		}
	}
	data, err := spec.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tenants.ParseJSON(data); !fault.Is(err, fault.Invalid) {
		t.Errorf("an operator may declare it: %v", err)
	}
	if spec.Quota.Storage != tenants.MinStorage {
		t.Errorf("it may store %v", spec.Quota.Storage)
	}
}
