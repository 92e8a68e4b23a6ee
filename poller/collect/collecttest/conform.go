package collecttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/poller/collect"
	"midplane/schemas/catalog"
)

// payloads are the structs of what a collector may say. Events are missing on
// purpose: what happened follows from states, in package change.
var payloads = map[event.Type]func() any{
	event.TypeInventory:    func() any { return new(event.Inventory) },
	event.TypeReachability: func() any { return new(event.Reachability) },
	event.TypeInterface:    func() any { return new(event.Interface) },
	event.TypeCheck:        func() any { return new(event.Check) },
	event.TypePing:         func() any { return new(event.Ping) },
	event.TypeCounters:     func() any { return new(event.Counters) },
	event.TypeTiming:       func() any { return new(event.Timing) },
	event.TypeLoad:         func() any { return new(event.Load) },
}

// conforms checks one message against its entity, struct and schema.
func conforms(t *testing.T, target collect.Target, e event.Event) {
	t.Helper()
	if err := event.CheckEntity(e.Entity); err != nil {
		t.Errorf("%s: %v", e.Type, err)
	}
	if e.Entity.Device() != target.Device {
		t.Errorf("%s is about %q, which is not of device %q", e.Type, e.Entity, target.Device)
	}
	if since := time.Since(e.Time); e.Time.Location() != time.UTC || since < 0 || since > time.Minute {
		t.Errorf("%s was seen at %v", e.Type, e.Time)
	}
	if e.Severity != "" || e.ID != "" || e.MsgID != "" || e.Producer != "" || e.Site != "" {
		t.Errorf("%s has fields that are not the collector's to set: %+v", e.Type, e)
	}
	entry, known := catalog.Set().Lookup(e.Type)
	build := payloads[e.Type]
	if !known || build == nil {
		t.Errorf("%s is not a type for collectors", e.Type)
		return
	}
	if e.Kind != entry.Schema.Kind {
		t.Errorf("%s is sent as %s, the catalogue says %s", e.Type, e.Kind, entry.Schema.Kind)
	}
	if v := entry.Validator.Validate(e.Data); v != nil {
		t.Errorf("%s breaks its schema: %v\n%s", e.Type, v, e.Data)
	}
	d := json.NewDecoder(bytes.NewReader(e.Data))
	d.DisallowUnknownFields()
	if err := d.Decode(build()); err != nil {
		t.Errorf("%s does not decode: %v\n%s", e.Type, err, e.Data)
	}
}

// findings are the states that say that something is wrong with the target.
func findings(t *testing.T, es []event.Event) []string {
	t.Helper()
	var out []string
	for _, e := range es {
		var s struct {
			Status  string `json:"status"`
			Message string `json:"message"`
		}
		if e.Type != event.TypeCheck && e.Type != event.TypeReachability {
			continue
		}
		if err := json.Unmarshal(e.Data, &s); err != nil {
			t.Errorf("%s: %v", e.Type, err)
		}
		if s.Status != event.CheckOK && s.Status != event.StatusUp {
			out = append(out, fmt.Sprintf("%s is %s: %s", e.Entity, s.Status, s.Message))
		}
	}
	return out
}

func says(es []event.Event, typ event.Type) bool {
	return slices.ContainsFunc(es, func(e event.Event) bool { return e.Type == typ })
}

// topics lists what was spoken of, sorted.
func topics(es []event.Event) string {
	var out []string
	for _, e := range es {
		out = append(out, fmt.Sprintf("%s %s %s", e.Kind, e.Entity, e.Type))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
