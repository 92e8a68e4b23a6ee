package catalog

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/event"
)

var (
	at   = time.Date(2026, 2, 28, 23, 59, 59, 123456789, time.UTC)
	zero = time.Time{}
	most = []uint64{math.MaxUint64, 0}
)

// payload is the least and the most that a type's Go struct can say.
type payload struct{ least, most any }

func changed(from, to string) payload {
	return payload{
		event.Changed{Device: "r", From: from, To: to},
		event.Changed{Device: "r1", Name: "ge-0/0/1", From: from, To: to, Message: "it changed"},
	}
}

func ledger(stream string) payload {
	return payload{
		event.Ledger{Stream: stream, Epoch: 1, Tombstones: []event.Tombstone{}},
		event.Ledger{Stream: stream, Epoch: math.MaxInt64, Low: math.MaxUint64, Tombstones: []event.Tombstone{
			{Epoch: 1, From: 1, To: 1, Reason: "full"}, {Epoch: 2, From: 1, To: 9, Reason: "superseded"}, {Epoch: 3, From: 7, To: math.MaxUint64, Reason: "refused"},
		}},
	}
}

var payloads = map[event.Type]payload{
	event.TypeDeclared: {event.Declared{Device: "r"}, event.Declared{Device: "r1", Address: "2001:db8::1", Name: "Core", Poller: "syd-01", Removed: true}},
	event.TypeInventory: {event.Inventory{Device: "r"}, event.Inventory{Device: "r1", Name: "n", Description: "d", ObjectID: "1.3.6", Contact: "c", Location: "l", OS: "o", Model: "m", Serial: "s", BootTime: &at,
		Components: []event.Component{{Index: "1", Class: "chassis"}, {Index: "2", Class: "memory", Name: "n", Model: "m", Serial: "s", Bytes: math.MaxUint64}}}},
	event.TypeReachability: {event.Reachability{Device: "r", Status: event.StatusDown, Method: "ping"}, event.Reachability{Device: "r1", Address: "192.0.2.1", Status: event.StatusUp, Method: "snmp", RTT: 0.001, Loss: 100, Message: "m"}},
	event.TypeInterface: {event.Interface{Device: "r", Index: "1", AdminStatus: "down", OperStatus: "notPresent"},
		event.Interface{Device: "r1", Index: "2", Name: "ge", Alias: "a", AdminStatus: "testing", OperStatus: "lowerLayerDown", Speed: math.MaxUint64, MTU: math.MaxUint64, MAC: "00:00:5e:00:53:01"}},
	event.TypeCheck: {event.Check{Device: "r", Name: "c", Collector: "tcp", Status: event.CheckUnknown},
		event.Check{Device: "r1", Name: "web", Collector: "http", Target: "https://example.net/", Status: event.CheckCritical, Message: "m", Latency: 1.5, NotAfter: &at}},
	event.TypePing:     {event.Ping{}, event.Ping{RTT: 1.5, Loss: 33.333333333333336, Jitter: 1e-9}},
	event.TypeCounters: {event.Counters{}, event.Counters{InOctets: math.MaxUint64, OutOctets: math.MaxUint64, InPackets: math.MaxUint64, OutPackets: math.MaxUint64, InErrors: math.MaxUint64, OutErrors: math.MaxUint64, InDiscards: math.MaxUint64, OutDiscards: math.MaxUint64}},
	event.TypeSeen: {event.Seen{Device: "r", Counting: at, Checks: []event.CheckRuns{}, Digest: event.Digest(0).String()},
		event.Seen{Device: "r1", Counting: at, Checks: []event.CheckRuns{{Name: "snmp", Runs: math.MaxUint64, Last: at, Latency: 1.5}}, From: math.MaxUint64, States: 14, Digest: event.Digest(math.MaxUint64).String()}},
	event.TypeCountersList: {event.CountersList{Device: "r", Index: []string{"1"}},
		event.CountersList{Device: "r1", Index: []string{"1", "2"}, InOctets: most, OutOctets: most, InPackets: most, OutPackets: most, InErrors: most, OutErrors: most, InDiscards: most, OutDiscards: most,
			Timing: &event.CheckTiming{Check: "snmp", Timing: event.Timing{Total: 4, Connect: 1, TLS: 2, FirstByte: 3}}}},
	event.TypeTiming: {event.Timing{}, event.Timing{Total: 4, Connect: 1, TLS: 2, FirstByte: 3}},
	event.TypeLoad:   {event.Load{}, event.Load{CPU: 100, Load1: 1, Load5: 2, Load15: 3, MemUsed: math.MaxUint64, MemTotal: math.MaxUint64, DiskUsed: math.MaxUint64, DiskTotal: math.MaxUint64, Uptime: math.MaxUint64}},

	event.TypeReachabilityChanged: changed(event.StatusUnknown, event.StatusUp),
	event.TypeInterfaceChanged:    changed("up", "lowerLayerDown"),
	event.TypeCheckChanged:        changed(event.CheckOK, event.CheckCritical),
	event.TypeCertificateExpiring: {event.CertificateExpiring{Device: "r", Name: "c", NotAfter: zero}, event.CertificateExpiring{Device: "r1", Name: "web", Target: "t", NotAfter: at, Days: -3, Message: "m"}},
	event.TypeRestarted:           {event.Changed{Device: "r"}, changed(at.Format(time.RFC3339), at.Add(time.Hour).Format(time.RFC3339)).most},
	event.TypeInventoryChanged:    {event.Changed{Device: "r"}, changed("7.3", "7.4").most},

	event.TypeLedgerEvent:  ledger(event.StreamEvents),
	event.TypeLedgerState:  ledger(event.StreamState),
	event.TypeLedgerMetric: ledger(event.StreamMetrics),

	event.TypeOverflow: {event.Overflow{Epoch: 1, GivenUp: []event.GivenUp{{Stream: event.StreamEvents, Reason: "full", Messages: 1, From: 1, To: 1}}},
		event.Overflow{Epoch: math.MaxInt64, From: at, Until: at, Message: "m", GivenUp: []event.GivenUp{
			{Stream: event.StreamMetrics, Reason: "thinned", Messages: math.MaxUint64, From: 1, To: math.MaxUint64, Oldest: at, Newest: at}}}},

	event.TypeAlarm: {event.Alarm{Alarm: "gap", Source: "s"}, event.Alarm{Alarm: "purged-ahead", Source: "primary-1", Stream: "EVENTS", Message: "m", Hint: "h", From: 1, To: math.MaxUint64}},
}

// TestStructsValidate: what Go programs publish passes the door, and comes back
// as it was.
func TestStructsValidate(t *testing.T) {
	for typ, p := range payloads {
		entry, ok := Set().Lookup(typ)
		if !ok {
			t.Errorf("%s has no schema", typ)
			continue
		}
		for name, v := range map[string]any{"least": p.least, "most": p.most} {
			data, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if bad := entry.Validator.Validate(data); bad != nil {
				t.Errorf("%s, %s: %v\n%s", typ, name, bad, data)
			}
			back := reflect.New(reflect.TypeOf(v))
			if err := json.Unmarshal(data, back.Interface()); err != nil {
				t.Errorf("%s, %s: %v", typ, name, err)
			}
			if diff := cmp.Diff(v, back.Elem().Interface()); diff != "" {
				t.Errorf("%s, %s: %s", typ, name, diff)
			}
		}
		if field := unset(reflect.ValueOf(p.most)); field != "" {
			t.Errorf("%s: the most it can say leaves out %s", typ, field)
		}
	}
}

// unset names a field with its zero value.
func unset(v reflect.Value) string {
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			return v.Type().Field(i).Name
		}
	}
	return ""
}

// TestExamplesDecode: the example of each type is one of its Go struct, without
// a field that the struct does not know.
func TestExamplesDecode(t *testing.T) {
	for _, s := range Schemas() {
		d := json.NewDecoder(strings.NewReader(string(s.Example)))
		d.DisallowUnknownFields()
		if err := d.Decode(reflect.New(reflect.TypeOf(payloads[s.Type].most)).Interface()); err != nil {
			t.Errorf("%s: %v", s.Type, err)
		}
	}
}

// TestSameFields: struct and schema have the same fields of the same types,
// and what the struct never leaves out is what the schema requires.
func TestSameFields(t *testing.T) {
	for _, s := range Schemas() {
		var doc shape
		if err := json.Unmarshal(s.Schema, &doc); err != nil {
			t.Fatal(err)
		}
		same(t, string(s.Type), reflect.TypeOf(payloads[s.Type].most), doc, doc.Defs)
	}
}

type shape struct {
	Type       string           `json:"type"`
	Format     string           `json:"format"`
	Ref        string           `json:"$ref"`
	Properties map[string]shape `json:"properties"`
	Required   []string         `json:"required"`
	Items      *shape           `json:"items"`
	Defs       map[string]shape `json:"$defs"`
}

func same(t *testing.T, at string, typ reflect.Type, doc shape, defs map[string]shape) {
	t.Helper()
	fields, required := map[string]string{}, map[string]bool{}
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous {
			continue // its fields are listed beside it
		}
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = jsonType(f.Type)
		if option != "omitempty" && option != "omitzero" {
			required[name] = true
		}
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			item := *doc.Properties[name].Items
			if def, ok := defs[strings.TrimPrefix(item.Ref, "#/$defs/")]; ok {
				item = def
			}
			same(t, at+"/"+name, f.Type.Elem(), item, defs)
		}
		if jsonType(f.Type) == "object" {
			same(t, at+"/"+name, f.Type.Elem(), doc.Properties[name], defs)
		}
	}
	want, wantRequired := map[string]string{}, map[string]bool{}
	for name, p := range doc.Properties {
		want[name] = strings.TrimSpace(p.Type + " " + p.Format)
	}
	for _, name := range doc.Required {
		wantRequired[name] = true
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("%s: schema (-) and struct (+):\n%s", at, diff)
	}
	if diff := cmp.Diff(wantRequired, required); diff != "" {
		t.Errorf("%s: required by the schema (-), always written by the struct (+):\n%s", at, diff)
	}
}

func jsonType(typ reflect.Type) string {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ == reflect.TypeFor[time.Time]() {
		return "string date-time"
	}
	switch typ.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Float64:
		return "number"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "integer"
	case reflect.Slice:
		return "array"
	case reflect.Struct:
		return "object"
	}
	return typ.String()
}

// TestRefused: what must not pass the door, at the places that matter most.
func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		typ         event.Type
		doc         string
		field, rule string
	}{
		{event.TypeLedgerState, `{"stream":"STATE","epoch":1,"low":0,"tombstones":null}`, "/tombstones", "type"},
		{event.TypeLedgerState, `{"stream":"EVENTS","epoch":1,"low":0,"tombstones":[]}`, "/stream", "const"},
		{event.TypeLedgerState, `{"stream":"STATE","epoch":1,"low":0}`, "/tombstones", "required"},
		{event.TypeReachability, `{"device":"r1","status":"unknown","method":"ping"}`, "/status", "enum"},
		{event.TypeReachability, `{"device":"r1","status":"up","method":"ping","Status":"down"}`, "/Status", "additionalProperties"},
		{event.TypeReachability, `{"device":"","status":"up","method":"ping"}`, "/device", "minLength"},
		{event.TypeCounters, `{"inOctets":18446744073709551616,"outOctets":0,"inPackets":0,"outPackets":0,"inErrors":0,"outErrors":0,"inDiscards":0,"outDiscards":0}`, "/inOctets", "maximum"},
		{event.TypePing, `{"rttMs":-0.1,"lossPercent":0}`, "/rttMs", "minimum"},
		{event.TypePing, `{"rttMs":1e999,"lossPercent":0}`, "/rttMs", "maximum"},
		{event.TypeInventory, `{"device":"r1","components":[{"index":"1","class":"wheel"}]}`, "/components/0/class", "enum"},
		{event.TypeInventory, `{"device":"r1","bootTime":"2016-12-31T23:59:60Z"}`, "/bootTime", "format"},
		{event.TypeAlarm, `{"alarm":"No Word","source":"s","message":""}`, "/alarm", "pattern"},
	} {
		entry, _ := Set().Lookup(tc.typ)
		if bad := entry.Validator.Validate([]byte(tc.doc)); bad == nil || bad.Field != tc.field || bad.Rule != tc.rule {
			t.Errorf("%s %s: %v, want %s at %s", tc.typ, tc.doc, bad, tc.rule, tc.field)
		}
	}
}
