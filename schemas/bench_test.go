package schemas_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"midplane/event"
	"midplane/schemas"
	"midplane/schemas/catalog"
)

// documents of the two sizes that the ingress is measured with.
func documents(t testing.TB) map[string]struct {
	schema  schemas.Schema
	payload []byte
} {
	t.Helper()
	small := event.Interface{Device: "r1", Index: "2", Name: "ge-0/0/1", AdminStatus: "up", OperStatus: "up", Speed: 1_000_000_000, MTU: 1500, MAC: "00:00:5e:00:53:01"}
	small.Alias = strings.Repeat("uplink to the core ", 5)
	large := event.Inventory{Device: "r1", Name: "r1.example.net", Description: "Router OS 7.4", Model: "X-1000", Serial: "SN0001"}
	for i := range 10 {
		large.Components = append(large.Components, event.Component{Index: fmt.Sprint(i), Class: "module", Name: fmt.Sprintf("Line card %d", i), Model: "LC-48", Serial: fmt.Sprintf("SN%04d", i)})
	}
	out := map[string]struct {
		schema  schemas.Schema
		payload []byte
	}{}
	for _, d := range []struct {
		name string
		typ  event.Type
		v    any
		size int
	}{{"256B", event.TypeInterface, small, 256}, {"1KB", event.TypeInventory, large, 1024}} {
		payload, err := json.Marshal(d.v)
		if err != nil {
			t.Fatal(err)
		}
		if len(payload) < d.size*9/10 || len(payload) > d.size*11/10 {
			t.Fatalf("the document for %s has %d bytes", d.name, len(payload))
		}
		entry, ok := catalog.Set().Lookup(d.typ)
		if !ok {
			t.Fatalf("%s is not in the catalogue", d.typ)
		}
		out[d.name] = struct {
			schema  schemas.Schema
			payload []byte
		}{entry.Schema, payload}
	}
	return out
}

func bench(b *testing.B, compile func(schemas.Schema) (schemas.Validator, error)) {
	for name, d := range documents(b) {
		v, err := compile(d.schema)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(d.payload)))
			for b.Loop() {
				if bad := v.Validate(d.payload); bad != nil {
					b.Fatal(bad)
				}
			}
		})
	}
}

func BenchmarkStreaming(b *testing.B) { bench(b, schemas.Fast) }
func BenchmarkLibrary(b *testing.B)   { bench(b, schemas.Judge) }

func BenchmarkLine(b *testing.B) {
	for name, d := range documents(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				schemas.Line(d.schema, d.payload)
			}
		})
	}
}

func BenchmarkCompileCatalogue(b *testing.B) {
	for b.Loop() {
		if _, err := schemas.NewSet(catalog.Schemas()); err != nil {
			b.Fatal(err)
		}
	}
}

// TestStreamingDoesNotAllocate: valid payloads cost no garbage.
func TestStreamingDoesNotAllocate(t *testing.T) {
	check := func(name string, v schemas.Validator, payload []byte) {
		// What the whole process allocates is counted, the runtime's own too: that
		// only adds, so the least of some counts is the validator's.
		least := math.Inf(1)
		for range 10 {
			least = min(least, testing.AllocsPerRun(100, func() {
				if bad := v.Validate(payload); bad != nil {
					t.Fatalf("%s: %v", name, bad)
				}
			}))
		}
		if least != 0 {
			t.Errorf("%s: %v allocations", name, least)
		}
	}
	for name, d := range documents(t) {
		v, err := schemas.Fast(d.schema)
		if err != nil {
			t.Fatal(err)
		}
		check(name, v, d.payload)
	}
	for _, s := range catalog.Schemas() {
		entry, _ := catalog.Set().Lookup(s.Type)
		check(string(s.Type), entry.Validator, s.Example)
	}
}
