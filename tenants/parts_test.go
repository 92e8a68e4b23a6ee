package tenants_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
)

// manyDevices is a spec of n devices at each of its sites.
func manyDevices(t testing.TB, n int, sites ...event.Site) *tenants.Spec {
	t.Helper()
	s, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range sites {
		site := tenants.Site{ID: id, Name: string(id), Pollers: []tenants.Poller{{ID: event.Producer(id + "-01")}}}
		for i := range n {
			site.Devices = append(site.Devices, tenants.Device{ID: event.Entity(fmt.Sprintf("r%05d", i)), Address: "192.0.2.1"})
		}
		s.Sites = append(s.Sites, site)
	}
	return s
}

func split(t testing.TB, s *tenants.Spec) *tenants.InParts {
	t.Helper()
	out, err := s.Split()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// differ returns how many parts of b are not in a.
func differ(a, b *tenants.InParts) int {
	have := map[string]bool{}
	for _, p := range a.Parts {
		have[p.Name] = true
	}
	n := 0
	for _, p := range b.Parts {
		if !have[p.Name] {
			n++
		}
	}
	return n
}

// One device that is changed changes one part; one that is added or removed may
// divide a part or join two. So it is at every size, not only between two steps.
func TestOneDeviceIsOnePart(t *testing.T) {
	was := split(t, manyDevices(t, 0, "syd", "mel"))
	for n := 1; n <= 600; n++ {
		s := manyDevices(t, n, "syd", "mel")
		s.Sites[1].Devices = nil
		now := split(t, s)
		if d := differ(was, now); d > 2 {
			t.Fatalf("device %d wrote %d parts", n, d)
		}
		if d := differ(now, was); d > 1 && n > 1 {
			t.Fatalf("device %d, removed again, wrote %d parts", n, d)
		}
		was = now
	}
	a := manyDevices(t, 5000, "syd", "mel")
	b := manyDevices(t, 5000, "syd", "mel")
	b.Sites[0].Devices[1234].Address = "192.0.2.2"
	if d := differ(split(t, a), split(t, b)); d != 1 {
		t.Errorf("a changed device changed %d parts", d)
	}
}

// Parts are small, and the order in which devices are declared makes no difference.
func TestPartsAreSmallAndStable(t *testing.T) {
	s := manyDevices(t, 5000, "syd")
	for i := range s.Sites[0].Devices {
		if i%7 == 0 { // of very different sizes
			s.Sites[0].Devices[i].Checks = []tenants.Check{{Name: "web", Collector: "http", Interval: api.Duration(60e9), Timeout: api.Duration(5e9),
				Params: map[string]string{"url": strings.Repeat("x", 2000)}}}
		}
	}
	want := split(t, s)
	for _, p := range want.Parts {
		part, err := tenants.ParsePart(p.Data, tenants.Options{Stored: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(part.Devices) > 128 || len(p.Data) > 129<<10 || api.PartName(p.Data) != p.Name {
			t.Errorf("part %s has %d devices, %d bytes", p.Name, len(part.Devices), len(p.Data))
		}
	}
	rand.Shuffle(len(s.Sites[0].Devices), func(i, j int) {
		d := s.Sites[0].Devices
		d[i], d[j] = d[j], d[i]
	})
	if now := split(t, s); differ(want, now) != 0 || len(want.Parts) != len(now.Parts) || !slices.Equal(want.Head.Names(), now.Head.Names()) {
		t.Error("another order gives other parts")
	}
}

// Head and parts together are the spec, with the devices in order of their ids.
func TestJoinIsTheSpec(t *testing.T) {
	s := manyDevices(t, 700, "syd", "mel")
	in := split(t, s)
	data, err := in.Head.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if !tenants.Divided(data) {
		t.Fatal("a head is not seen to be one")
	}
	head, err := tenants.ParseHead(data, tenants.Options{})
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]*tenants.Part{}
	for _, p := range in.Parts {
		if parts[p.Name], err = tenants.ParsePart(p.Data, tenants.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := head.Join(func(name string) (*tenants.Part, error) { return parts[name], nil })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Error(diff)
	}
	missing := fault.New(fault.NotFound, "gone")
	if _, err := head.Join(func(string) (*tenants.Part, error) { return nil, missing }); !fault.Is(err, fault.NotFound) {
		t.Errorf("a part is missing: %v", err)
	}
	names := head.Names()
	other := in.Parts[len(in.Parts)-1].Name // of the other site
	head.Parts["syd"] = []string{other}
	if _, err := head.Join(func(name string) (*tenants.Part, error) { return parts[name], nil }); !fault.Is(err, fault.Invalid) || !slices.Contains(names, other) {
		t.Errorf("a part of another site: %v", err)
	}
}

// What is too large is said when a file is read, and what a spec is that was stored
// by a newer version.
func TestPartsHaveLimits(t *testing.T) {
	s := manyDevices(t, 1, "syd")
	for i := range 40 {
		s.Sites[0].Devices[0].Checks = append(s.Sites[0].Devices[0].Checks, tenants.Check{Name: fmt.Sprint("c", i), Params: map[string]string{"url": strings.Repeat("x", 2000)}})
	}
	if _, err := s.Split(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "device syd/r00000 has") {
		t.Errorf("a device: %v", err)
	}
	if _, err := tenants.ParsePart([]byte(`{"site":"syd","devices":[{"id":"r1","address":"192.0.2.1","rack":7}]}`), tenants.Options{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a field that is not known, to be stored: %v", err)
	}
	p, err := tenants.ParsePart([]byte(`{"site":"syd","devices":[{"id":"r1","address":"192.0.2.1","rack":7}]}`), tenants.Options{Stored: true})
	if err != nil || len(p.Devices) != 1 {
		t.Fatalf("of a newer version: %v", err)
	}
	head := split(t, manyDevices(t, 1, "syd")).Head
	data, err := head.JSON()
	if err != nil {
		t.Fatal(err)
	}
	err = head.CheckKnown(data, func(string) (*tenants.Part, error) { return p, nil })
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "devices[0].rack") {
		t.Errorf("written over: %v", err)
	}
}

// What one change of a tenant with as many devices as one may have costs in memory.
func BenchmarkParts(b *testing.B) {
	s := manyDevices(b, tenants.MaxDevices, "syd")
	in := split(b, s)
	parts := map[string]*tenants.Part{}
	for _, p := range in.Parts {
		var err error
		if parts[p.Name], err = tenants.ParsePart(p.Data, tenants.Options{Stored: true}); err != nil {
			b.Fatal(err)
		}
	}
	head, err := in.Head.JSON()
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d parts, %d bytes, a head of %d", len(in.Parts), in.Size, len(head))
	b.Run("split", func(b *testing.B) {
		for b.Loop() {
			split(b, s)
		}
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if err := s.Validate(tenants.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("join", func(b *testing.B) {
		for b.Loop() {
			if _, err := in.Head.Join(func(name string) (*tenants.Part, error) { return parts[name], nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read one part", func(b *testing.B) {
		for b.Loop() {
			if _, err := tenants.ParsePart(in.Parts[0].Data, tenants.Options{Stored: true}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
