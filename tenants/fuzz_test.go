package tenants_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"midplane/fault"
	"midplane/tenants"
)

// Loading any file does not panic; what it refuses it refuses as
// Invalid, with a place; what it takes is valid, survives the way to the
// control plane and back unchanged, and leaves no device unwatched.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	more, err := filepath.Glob("example/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, more...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	door := []byte(`{"type":"object"}`)
	f.Fuzz(func(t *testing.T, data []byte) {
		loaded, err := tenants.LoadFS(fstest.MapFS{"a.yaml": {Data: data}, "door.json": {Data: door}}, "", options)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%v is %s", err, fault.KindOf(err))
			}
			for _, m := range tenants.Mistakes(err) {
				if m.File != "a.yaml" || m.Message == "" {
					t.Fatalf("%+v", m)
				}
			}
			return
		}
		spec := loaded[0].Spec
		if err := spec.Validate(options); err != nil {
			t.Fatal(err)
		}
		raw, err := spec.JSON()
		if err != nil {
			t.Fatal(err)
		}
		back, err := tenants.ParseJSON(raw)
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		if d := cmp.Diff(spec, back); d != "" {
			t.Fatal(d)
		}
		if steps := tenants.Plan(spec, back); len(steps) > 0 {
			t.Fatal(steps)
		}
		watched := 0
		for _, p := range spec.Pollers() {
			cfg, ok := spec.PollerConfig(p.ID)
			if !ok {
				t.Fatalf("poller %s has no configuration", p.ID)
			}
			watched += len(cfg.Devices)
		}
		if watched != len(spec.Declared()) {
			t.Fatalf("%d of %d devices are watched", watched, len(spec.Declared()))
		}
	})
}

// What the control plane is sent is read as strictly.
func FuzzParseJSON(f *testing.F) {
	loaded, err := tenants.LoadDir("example", options)
	if err != nil {
		f.Fatal(err)
	}
	for _, l := range loaded {
		data, err := l.Spec.JSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := tenants.ParseJSON(data)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%v is %s", err, fault.KindOf(err))
			}
			return
		}
		raw, err := spec.JSON()
		if err != nil {
			t.Fatal(err)
		}
		back, err := tenants.ParseJSON(raw)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(spec, back); d != "" {
			t.Fatal(d)
		}
	})
}
