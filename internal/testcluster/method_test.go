package testcluster_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"midplane/internal/testcluster"
	"midplane/poller/collect/all"
	"midplane/telemetry"
	"midplane/tenants"
)

// A collector that no version 1 of a type lists decides whether a device is up:
// from its mark in the poller's configuration to the primary's view.
func TestADeviceIsDownByACollectorThatNoTypeLists(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	spec, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme","sites":[{"id":"syd","pollers":[{"id":"syd-01"}],
		"devices":[{"id":"ns1","address":"127.0.0.1","checks":[{"name":"zone","collector":"dns","interval":"1s","timeout":"500ms","params":{"name":"example.net","port":"1"}}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c := testcluster.Start(t, testcluster.Options{Tenants: []*tenants.Spec{spec}})
	watch(ctx, t, c, all.Collectors(), telemetry.Nop())
	if e := firstChange(ctx, t, c); e.Entity != "ns1" || !strings.Contains(string(e.Data), `"down"`) {
		t.Errorf("%+v %s", e, e.Data)
	}
}
