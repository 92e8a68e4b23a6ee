package specs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testregistry"
	"midplane/platform/registry"
	"midplane/telemetry"
	"midplane/tenants"
)

// devices is a spec of n devices that have one address.
func devices(t *testing.T, n int, address string) *tenants.Spec {
	t.Helper()
	s, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme","sites":[{"id":"syd","pollers":[{"id":"syd-01"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s.Sites[0].Devices = append(s.Sites[0].Devices, tenants.Device{ID: event.Entity(fmt.Sprintf("r%05d", i)), Name: strings.Repeat("x", 100), Address: address})
	}
	return s
}

// Parts that no spec names are deleted once they have been seen so for long enough,
// and none that the present spec names.
func TestPartsAreCollected(t *testing.T) {
	node := testregistry.Open(t)
	reg, ctx := node.Registry, node.Ctx
	if _, err := reg.Levels.Put(ctx, registry.Level{Understands: api.Understands{Formats: api.CurrentFormats()}}, 0); err != nil {
		t.Fatal(err)
	}
	if err := reg.Fresh(ctx); err != nil {
		t.Fatal(err)
	}
	put := func(s *tenants.Spec, rev uint64) uint64 {
		t.Helper()
		rev, err := reg.Specs.Put(ctx, s, rev)
		if err == nil {
			_, err = reg.WaitView(ctx, rev)
		}
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	count := func() (n int) {
		if err := reg.Fresh(ctx); err != nil {
			t.Fatal(err)
		}
		reg.Config.Prefix("part.", func(registry.Entry) { n++ })
		return n
	}
	first := put(devices(t, 1000, "192.0.2.1"), 0)
	parts := count()
	second := put(devices(t, 1000, "192.0.2.2"), first)
	c := &Collector{Registry: reg, Every: time.Hour, Kept: 10 * time.Minute, Log: telemetry.Nop().Log}
	now := time.Now()
	for _, at := range []time.Duration{0, 9 * time.Minute} {
		if err := c.collect(ctx, now.Add(at)); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 2*parts {
			t.Fatalf("after %s there are %d parts, want %d", at, n, 2*parts)
		}
	}
	if err := c.collect(ctx, now.Add(11*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != parts {
		t.Errorf("%d parts are left, want %d", n, parts)
	}
	if x := reg.View().Tenants["acme"]; x.Problem != "" || x.SpecRevision != second {
		t.Errorf("the spec was harmed: %q", x.Problem)
	}
	if err := reg.Specs.Delete(ctx, "acme", second); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Duration{12 * time.Minute, 23 * time.Minute} {
		if err := c.collect(ctx, now.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(); n != 0 {
		t.Errorf("%d parts of a tenant that is gone are left", n)
	}
}
