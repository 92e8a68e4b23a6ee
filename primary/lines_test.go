package primary

import (
	"encoding/json"
	"testing"

	"midplane/api"
	"midplane/event"
	"midplane/schemas/catalog"
)

// An event of a tenant's own type reads as that tenant's file says, and never
// as another tenant's does.
func TestOwnTypesReadAsTheirTenantSays(t *testing.T) {
	const typ = "acme.door.opened.v1"
	p := &Primary{tenants: map[event.Tenant]*tenant{
		"acme":   {spec: api.CoreTenant{Lines: map[string]string{typ: "door {door} opened"}}},
		"globex": {spec: api.CoreTenant{}},
	}}
	rows := []api.Event{
		{Tenant: "acme", Type: typ, Data: json.RawMessage(`{"door":"bay"}`)},
		{Tenant: "globex", Type: typ, Data: json.RawMessage(`{"door":"bay"}`)},
		{Tenant: "gone", Type: typ, Data: json.RawMessage(`{"door":"bay"}`)},
	}
	(&queries{p: p, types: catalog.Set()}).render(rows)
	for i, want := range []string{"door bay opened", typ, typ} {
		if rows[i].Message != want {
			t.Errorf("%s: %q, want %q", rows[i].Tenant, rows[i].Message, want)
		}
	}
}
