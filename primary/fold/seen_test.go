package fold

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"midplane/event"
)

// message is one of producer p1's outbox about device r1.
func message(t testing.TB, kind event.Kind, typ event.Type, seq uint64, received time.Time, payload any) *Message {
	t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return &Message{Incarnation: 1, Event: event.Event{Kind: kind, Site: "syd", Entity: "r1", Type: typ, Producer: "p1", Epoch: 1, Sequence: seq,
		Stream: kind.Stream(), StreamSeq: seq, Received: received, Time: received.Add(-time.Second), Data: data}}
}

func samples(ch *Changes) (out []string) {
	for _, s := range ch.Samples {
		out = append(out, fmt.Sprintf("%s %s %s %s", s.Entity, s.Type, s.Time.Sub(t0), s.Values))
	}
	return out
}

// unpacked is what samples stand for.
func unpacked(samples []Sample) (out []Sample) {
	for _, s := range samples {
		out = append(out, s.Unpack()...)
	}
	return out
}

// The timing that came with counters goes on in the series of its check.
func TestCountersWithTiming(t *testing.T) {
	timing := event.Timing{Total: 12.5}
	alone := message(t, event.KindMetric, event.TypeTiming, 1, t0, timing)
	alone.Entity = alone.Entity.Check("snmp")
	list := event.CountersList{Device: "r1", Index: []string{"1"}, Timing: &event.CheckTiming{Check: "snmp", Timing: timing}}
	fold := func() []Sample {
		return unpacked(foldAll(newKnown(), []Message{*message(t, event.KindMetric, event.TypeCountersList, 1, t0, list)}).Samples)
	}
	together := fold()
	if d := cmp.Diff(foldAll(newKnown(), []Message{*alone}).Samples, together[:1]); d != "" || len(together) != 2 {
		t.Errorf("%d samples; %s", len(together), d)
	}
	list.Timing.Check = strings.Repeat("x", 500)
	if n := len(fold()); n != 1 {
		t.Errorf("a check that no message could be about makes %d samples", n)
	}
	list.Index[0] = strings.Repeat("x", 500)
	if n := len(fold()); n != 0 {
		t.Errorf("an interface that no message could be about makes %d samples", n)
	}
}

// Counters of all interfaces in one message fold to what one message an interface
// folds to.
func TestCountersList(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var list event.CountersList
		alone := map[SeriesKey]string{}
		for i := range rapid.IntRange(1, 20).Draw(rt, "n") {
			n := rapid.Uint64()
			c := event.Counters{InOctets: n.Draw(rt, "in"), OutOctets: n.Draw(rt, "out"), InErrors: rapid.Uint64Range(0, 1).Draw(rt, "errors")}
			list.Add(fmt.Sprint(i), c)
			m := message(t, event.KindMetric, event.TypeCounters, 1, t0, c)
			m.Entity = m.Entity.Interface(fmt.Sprint(i))
			ch := foldAll(newKnown(), []Message{*m})
			alone[ch.Samples[0].SeriesKey] = ch.Samples[0].Time.String() + sorted(rt, ch.Samples[0].Values)
		}
		ch := foldAll(newKnown(), []Message{*message(t, event.KindMetric, event.TypeCountersList, 1, t0, list)})
		together := map[SeriesKey]string{}
		if len(ch.Samples) != 1 {
			rt.Fatalf("%d rows", len(ch.Samples))
		}
		for _, s := range unpacked(ch.Samples) {
			together[s.SeriesKey] = s.Time.String() + sorted(rt, s.Values)
		}
		if d := cmp.Diff(alone, together); d != "" {
			rt.Fatal(d)
		}
	})
}

func sorted(t *rapid.T, values []byte) string {
	var v map[string]json.Number
	if err := json.Unmarshal(values, &v); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(v)) {
		out = append(out, k+"="+v[k].String())
	}
	return strings.Join(out, " ")
}

// A heartbeat is a state, and beside it one sample of each check that has run since
// the last: of no run twice, and none after the message was received.
func TestHeartbeatBecomesSamples(t *testing.T) {
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	beat := func(seq uint64, received float64, checks ...event.CheckRuns) *Message {
		return message(t, event.KindState, event.TypeSeen, seq, at(received), event.Seen{Device: "r1", Counting: t0, Checks: checks, From: 1, States: 2, Digest: "00000000000000ff"})
	}
	k, ch := newKnown(), NewChanges()
	Fold(k, ch, beat(1, 10, event.CheckRuns{Name: "ping", Runs: 1, Last: at(9), Latency: 1.5}, event.CheckRuns{Name: "snmp", Runs: 1, Last: at(8)}))
	Fold(k, ch, beat(2, 20, event.CheckRuns{Name: "ping", Runs: 2, Last: at(19), Latency: 2}, event.CheckRuns{Name: "snmp", Runs: 1, Last: at(8)}))
	Fold(k, ch, beat(3, 30, event.CheckRuns{Name: "ping", Runs: 3, Last: at(99), Latency: 3}, event.CheckRuns{Name: strings.Repeat("x", 200), Runs: 1, Last: at(29)}))
	want := []string{
		`r1/check/ping net.device.seen.v1 9s {"runs":1,"latencyMs":1.5}`,
		`r1/check/snmp net.device.seen.v1 8s {"runs":1}`,
		`r1/check/ping net.device.seen.v1 19s {"runs":2,"latencyMs":2}`,
		`r1/check/ping net.device.seen.v1 30s {"runs":3,"latencyMs":3}`,
	}
	if d := cmp.Diff(want, samples(ch)); d != "" {
		t.Fatal(d)
	}
	lane := DeviceLane{DeviceKey{"syd", "r1"}, "p1"}
	if d := cmp.Diff(map[DeviceLane]Touched{lane: {Beat: &Heartbeat{Epoch: 1, From: 1, States: 2, Digest: "00000000000000ff"}}}, ch.Touched); d != "" {
		t.Error(d)
	}
	if len(k.States) != 1 || ch.Devices[lane.DeviceKey].Reachability != nil {
		t.Errorf("%d states", len(k.States))
	}
}

// What a batch touched are states that count in a digest, and that became the
// newest of an outbox's lane; not what a stock client sent.
func TestTouched(t *testing.T) {
	state := func(entity event.Entity, typ event.Type, seq uint64) *Message {
		m := message(t, event.KindState, typ, 1, t0, map[string]string{})
		m.Entity, m.Sequence, m.StreamSeq = entity, seq, 0
		return m
	}
	k, ch := newKnown(), NewChanges()
	for i, m := range []*Message{
		state("r1/if/2", event.TypeInterface, 5), state("r2", event.TypeReachability, 0), state("r3", event.TypeDeclared, 6),
		state("r1/if/2", event.TypeInterface, 4),
	} {
		m.StreamSeq = uint64(i + 1)
		Fold(k, ch, m)
	}
	if d := cmp.Diff(map[DeviceLane]Touched{{DeviceKey{"syd", "r1"}, "p1"}: {States: true}}, ch.Touched); d != "" {
		t.Fatal(d)
	}
	ch = NewChanges()
	m := state("r1/if/2", event.TypeInterface, 4)
	m.StreamSeq = 9
	if Fold(k, ch, m); len(ch.Touched) != 0 {
		t.Errorf("an older state: %+v", ch.Touched)
	}
}

// Rows is never less than what a message becomes, and what no schema bounds is bounded.
func TestRows(t *testing.T) {
	var list event.CountersList
	for i := range maxListed + 5 {
		list.Add(fmt.Sprint(i), event.Counters{})
	}
	var beat event.Seen
	for i := range maxChecks + 5 {
		beat.Checks = append(beat.Checks, event.CheckRuns{Name: fmt.Sprint(i)})
	}
	for _, m := range []*Message{
		message(t, event.KindMetric, event.TypeCountersList, 1, t0, list),
		message(t, event.KindMetric, event.TypeCountersList, 1, t0, event.CountersList{Index: []string{"1", "2"}, Timing: &event.CheckTiming{Check: "c"}}),
		message(t, event.KindState, event.TypeSeen, 1, t0, beat),
		message(t, event.KindState, event.TypeSeen, 1, t0, event.Seen{Checks: beat.Checks[:3]}),
		message(t, event.KindMetric, event.TypePing, 1, t0, event.Ping{}),
	} {
		n := len(foldAll(newKnown(), []Message{*m}).Samples)
		if rows := m.Rows(); n == 0 || n > rows || rows > maxChecks+1 {
			t.Errorf("%s: %d samples, at most %d rows", m.Type, n, rows)
		}
	}
}
