package query

import (
	"encoding/json"
	"testing"

	"midplane/api"
	"midplane/event"
)

// lines are those of types, by tenant.
type lines map[event.Tenant]map[string]string

func (l lines) Reports() []api.TenantReport                 { return nil }
func (l lines) Line(tenant event.Tenant, typ string) string { return l[tenant][typ] }

// An event of a tenant's own type reads as that tenant's file says, and never
// as another tenant's does.
func TestOwnTypesReadAsTheirTenantSays(t *testing.T) {
	const typ = "acme.door.opened.v1"
	rows := []api.Event{
		{Tenant: "acme", Type: typ, Data: json.RawMessage(`{"door":"bay"}`)},
		{Tenant: "globex", Type: typ, Data: json.RawMessage(`{"door":"bay"}`)},
		{Tenant: "gone", Type: typ, Data: json.RawMessage(`{"door":"bay"}`)},
	}
	New(Config{}, nil, lines{"acme": {typ: "door {door} opened"}}).render(rows)
	for i, want := range []string{"door bay opened", typ, typ} {
		if rows[i].Message != want {
			t.Errorf("%s: %q, want %q", rows[i].Tenant, rows[i].Message, want)
		}
	}
}

func TestSemver(t *testing.T) {
	for in, want := range map[string]string{"v1.2.3": "1.2.3", "1.2.3-rc1": "1.2.3", "dev": "0.0.0", "": "0.0.0", "1.2": "0.0.0"} {
		if got := semver(in); got != want {
			t.Errorf("semver(%q) = %q", in, got)
		}
	}
}
