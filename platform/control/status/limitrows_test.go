package status

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/tenants"
)

var since = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func limitWorld() limitFacts {
	held := api.Held{Limit: api.LimitProducerMessages, Value: 20, Since: since, Refused: 30}
	return limitFacts{
		Tenant: "acme",
		Quota: tenants.Quota{MessageRate: 80, ByteRate: 8000, ProducerMessageRate: 20, ProducerByteRate: 2000, MessageSize: 300, Storage: 1 << 20,
			Connections: 10, ConnectionsPerUser: 2, Subscriptions: 50, Consumers: 5, MaxAckPending: 100},
		SpecBytes: 1234, Devices: 17, Share: api.Rate{Messages: 13, Bytes: 1333}, Producers: []event.Producer{"feed", "idle"},
		Held: []api.HeldProducer{{Tenant: "acme", Producer: "feed", Held: held}},
		Loads: []api.TenantLoad{
			{
				Flow:    api.Flow{Messages: 19.6, Bytes: 1960, Refused: map[string]uint64{api.LimitProducerMessages: 30, api.LimitMessageSize: 2}},
				Largest: 250, Connections: map[string]int{"feed": 1, "reading": 2}, Subscriptions: 7, Closed: map[string]uint64{"feed": 4},
				Producers: map[event.Producer]api.ProducerLoad{"feed": {Flow: api.Flow{Messages: 19.6, Bytes: 1960, Refused: map[string]uint64{api.LimitProducerMessages: 30}}, Held: &held}},
				Streams:   map[string]api.StreamLoad{"EVENTS": {Bytes: 500, Consumers: 3}, "STATE": {Bytes: 70}},
			},
			{
				Flow: api.Flow{Messages: 5, Bytes: 500, Refused: map[string]uint64{api.LimitConnections: 3}}, Largest: 100, Connections: map[string]int{"feed": 1},
				Producers: map[event.Producer]api.ProducerLoad{"feed": {Flow: api.Flow{Messages: 5, Bytes: 500}}},
				Streams:   map[string]api.StreamLoad{"EVENTS": {Bytes: 480, Consumers: 3}, "STATE": {Bytes: 80, Consumers: 1}},
			},
		},
	}
}

// short is a row without its hint; a used of -1 is null.
type short struct {
	producer, limit string
	value, used     int64
	refused         uint64
	held            bool
}

func shorts(t *testing.T, rows []api.Limit) (out []short) {
	t.Helper()
	for _, r := range rows {
		s := short{r.Producer, r.Limit, r.Value, -1, r.Refused, r.HeldBackSince != nil}
		if r.Used != nil {
			s.used = *r.Used
		}
		if r.HeldBackSince != nil && !r.HeldBackSince.Equal(since) || r.Tenant != "acme" || r.Hint == "" {
			t.Errorf("%+v", r)
		}
		out = append(out, s)
	}
	return out
}

func TestLimitRows(t *testing.T) {
	f := limitWorld()
	want := []short{
		{"", api.LimitTenantMessages, 80, 25, 0, false},
		{"", api.LimitTenantBytes, 8000, 2460, 0, false},
		{"", api.LimitProducerMessages, 20, 25, 30, true},
		{"", api.LimitProducerBytes, 2000, 2460, 0, false},
		{"", api.LimitMessageSize, 300, 250, 2, false},
		{"", api.LimitStorage, 1 << 20, 580, 0, false},
		{"", api.LimitStorageOf(event.StreamEvents), 471859, 500, 0, false},
		{"", api.LimitStorageOf(event.StreamState), 209715, 80, 0, false},
		{"", api.LimitStorageOf(event.StreamMetrics), 262144, -1, 0, false},
		{"", api.LimitStorageOf(event.StreamDead), 104858, -1, 0, false},
		{"", api.LimitConnections, 10, 4, 3, false},
		{"", api.LimitConnectionsPerUser, 2, 2, 4, false},
		{"", api.LimitSubscriptions, 50, 7, 0, false},
		{"", api.LimitConsumers, 5, 3, 0, false},
		{"", api.LimitMaxAckPending, 100, -1, 0, false},
		{"", api.LimitDevices, tenants.MaxDevices, 17, 0, false},
		{"", api.LimitSpecSize, tenants.MaxSpec, 1234, 0, false},
		{"feed", api.LimitProducerMessages, 20, 25, 30, true},
		{"feed", api.LimitProducerBytes, 2000, 2460, 0, false},
		{"feed", api.LimitTenantMessages, 13, 25, 0, false},
		{"feed", api.LimitTenantBytes, 1333, 2460, 0, false},
		{"feed", api.LimitConnectionsPerUser, 2, 2, 4, false},
		{"idle", api.LimitProducerMessages, 20, 0, 0, false},
		{"idle", api.LimitProducerBytes, 2000, 0, 0, false},
		{"idle", api.LimitTenantMessages, 13, 0, 0, false},
		{"idle", api.LimitTenantBytes, 1333, 0, 0, false},
		{"idle", api.LimitConnectionsPerUser, 2, 0, 0, false},
	}
	if diff := cmp.Diff(want, shorts(t, f.rows(true)), cmp.AllowUnexported(short{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := f.rows(false); len(got) != 2*len(producerLimits) {
		t.Errorf("of the producers alone: %d rows", len(got))
	}
}

// Every field of the quota has a row.
func TestEveryQuotaHasARow(t *testing.T) {
	limits := map[string]bool{}
	for _, r := range tenantLimits {
		limits[r.name] = true
	}
	for _, field := range quotaFields(t) {
		if !limits[field] {
			t.Errorf("quota.%s has no row", field)
		}
		delete(limits, field)
	}
	beside := map[string]bool{api.LimitDevices: true, api.LimitSpecSize: true}
	for _, stream := range event.Streams {
		beside[api.LimitStorageOf(stream)] = true
	}
	if diff := cmp.Diff(beside, limits); diff != "" {
		t.Errorf("rows that are in no quota (-want +got):\n%s", diff)
	}
}

// Without the figures of a live node a sum would say too little. What is held back
// is known all the same, and so is what several replicas hold.
func TestLimitRowsWithANodeThatGivesNoFigures(t *testing.T) {
	f := limitWorld()
	f.Loads, f.Silent = f.Loads[:1], []string{"n3", "n2"}
	for _, r := range f.rows(true) {
		known := r.Limit == api.LimitStorage || r.Limit == api.LimitDevices || r.Limit == api.LimitSpecSize || r.Limit == api.LimitStorageOf(event.StreamEvents) || r.Limit == api.LimitStorageOf(event.StreamState)
		if known != (r.Used != nil) {
			t.Errorf("%s %s: used %v", r.Producer, r.Limit, r.Used)
		}
		if !known && r.HeldBackSince == nil && !strings.Contains(r.Hint, "no figures come from n2, n3") {
			t.Errorf("%s %s: %s", r.Producer, r.Limit, r.Hint)
		}
		if held := r.Limit == api.LimitProducerMessages && r.Producer != "idle"; held != (r.HeldBackSince != nil) {
			t.Errorf("%s %s: held back since %v", r.Producer, r.Limit, r.HeldBackSince)
		}
	}
	f.Loads = nil
	for _, r := range f.rows(true) {
		if r.Used != nil && r.Limit != api.LimitSpecSize && r.Limit != api.LimitDevices {
			t.Errorf("no node gives figures, and %s has %d used", r.Limit, *r.Used)
		}
	}
}

// A producer that a node does not name, because it has too many, is not idle.
func TestLimitRowsOfAProducerThatIsNotNamed(t *testing.T) {
	f := limitWorld()
	f.Loads[0].More = true
	for _, r := range f.rows(false) {
		rate := r.Limit != api.LimitConnectionsPerUser
		if (r.Producer == "idle" && rate) != (r.Used == nil) {
			t.Errorf("%s %s: used %v", r.Producer, r.Limit, r.Used)
		}
	}
}

// A producer that is shut out has to learn to wait, whichever limit it is.
func TestLimitRowsOfAProducerThatIsShutOut(t *testing.T) {
	f := limitWorld()
	until := since.Add(time.Minute)
	f.Held[0].ShutOut = &until
	for _, r := range f.rows(false) {
		if r.HeldBackSince != nil && r.Hint != f.Held[0].Hint() {
			t.Errorf("%+v", r)
		}
	}
}

// quotaFields are the names that tenants' files use.
func quotaFields(t *testing.T) (out []string) {
	t.Helper()
	data, err := json.Marshal(tenants.Quota{})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(fields))
}
