package fold

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"midplane/event"
)

// outcome is what folding comes to, in any order.
type outcome struct {
	Winners  map[StateKey]Version
	Seen     map[DeviceKey]time.Time
	Received map[LedgerKey]Ranges
	Events   map[string]int
	Samples  map[string]string
	Beats    map[DeviceLane]Heartbeat
}

func outcomeOf(k *Known, ch *Changes) outcome {
	o := outcome{map[StateKey]Version{}, map[DeviceKey]time.Time{}, map[LedgerKey]Ranges{}, map[string]int{}, map[string]string{}, map[DeviceLane]Heartbeat{}}
	for key, l := range k.States {
		v := *l.By[l.Winner]
		v.Since = time.Time{} // when we saw it change depends on what superseding left to see
		o.Winners[key] = v
	}
	for key, d := range ch.Devices {
		if !d.Seen.IsZero() {
			o.Seen[key] = d.Seen
		}
	}
	for key, l := range k.Ledgers {
		if len(l.Received) > 0 {
			o.Received[key] = l.Received
		}
	}
	for _, m := range ch.Events {
		o.Events[fmt.Sprint(m.Producer, m.Epoch, m.Sequence, m.Entity)]++
	}
	for _, s := range ch.Samples {
		o.Samples[fmt.Sprint(s.SeriesKey, s.Time.UnixNano())] = string(s.Values)
	}
	for key, touched := range ch.Touched {
		if touched.Beat != nil {
			o.Beats[key] = *touched.Beat
		}
	}
	return o
}

// sent draws what producers sent: two pollers of a site and a stock client,
// about two devices, in all kinds.
func sent(t *rapid.T) []Message {
	var msgs []Message
	seqs := map[string]uint64{}
	for i := range rapid.IntRange(1, 40).Draw(t, "n") {
		kind := rapid.SampledFrom([]event.Kind{event.KindEvent, event.KindState, event.KindState, event.KindMetric}).Draw(t, "kind")
		device := rapid.SampledFrom([]event.Entity{"r1", "r2"}).Draw(t, "device")
		m := Message{Event: event.Event{Kind: kind, Severity: event.Info, Site: "syd", Entity: device, Type: "app.thing.v1", Stream: kind.Stream(),
			Received: t0.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "received")) * time.Second)}}
		m.Time = m.Received.Add(-time.Duration(i) * time.Millisecond)
		m.Producer = event.Producer(rapid.SampledFrom([]string{"p1", "p2", "stock"}).Draw(t, "producer"))
		if m.Producer != "stock" {
			key := string(m.Producer) + m.Stream
			seqs[key]++
			m.Epoch, m.Sequence = 1, seqs[key]
		}
		switch kind {
		case event.KindState:
			m.Type = rapid.SampledFrom([]event.Type{event.TypeReachability, event.TypeDeclared, event.TypeInventory}).Draw(t, "type")
			m.Data = json.RawMessage(fmt.Sprintf(`{"device":%q,"status":"up","n":%d}`, device, i))
			if rapid.IntRange(0, 2).Draw(t, "beat") == 0 {
				m.Type, m.Received = event.TypeSeen, m.Received.Add(time.Duration(i)*time.Microsecond)
				m.Data = drawBeat(t, &m)
			}
		case event.KindMetric:
			m.Data = json.RawMessage(fmt.Sprintf(`{"a":%d,"b":{"c":%d.5,"d":"text"}}`, i, i))
			if rapid.Bool().Draw(t, "list") {
				m.Type = event.TypeCountersList
				m.Data = json.RawMessage(fmt.Sprintf(`{"device":%q,"index":["1","2"],"inOctets":[%d,7]}`, device, i))
			}
		default:
			m.Data = json.RawMessage(`{}`)
		}
		msgs = append(msgs, m)
	}
	return msgs
}

// drawBeat is the payload of a heartbeat: its clock may be ahead, its checks have run
// since the last one or not. What a run was follows from when and by which poller.
func drawBeat(t *rapid.T, m *Message) json.RawMessage {
	s := event.Seen{Device: m.Entity, Counting: t0, Digest: "0000000000000000", States: rapid.IntRange(0, 3).Draw(t, "states")}
	for _, name := range []string{"ping", "snmp"} {
		at := rapid.IntRange(0, 22).Draw(t, "last")
		last := t0.Add(time.Duration(at)*time.Second + time.Duration(len(name)+int(m.Producer[len(m.Producer)-1]))*time.Nanosecond)
		s.Checks = append(s.Checks, event.CheckRuns{Name: name, Runs: uint64(at), Last: last, Latency: float64(at) / 2})
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// store gives the messages their places: each stream keeps them in some order,
// and may keep one of an outbox twice.
func place(t *rapid.T, msgs []Message) map[string][]Message {
	out := map[string][]Message{}
	for _, m := range rapid.Permutation(msgs).Draw(t, "order") {
		for again := true; again; again = m.Sequence > 0 && rapid.IntRange(0, 4).Draw(t, "twice") == 0 {
			m.Incarnation, m.StreamSeq = 1, uint64(len(out[m.Stream])+1)
			out[m.Stream] = append(out[m.Stream], m)
		}
	}
	return out
}

// interleave draws an order of reading: each stream in its own, with what was
// read already coming again now and then.
func interleave(t *rapid.T, streams map[string][]Message) []Message {
	var out []Message
	at := map[string]int{}
	rest := 0
	for _, s := range streams {
		rest += len(s)
	}
	for rest > 0 {
		name := rapid.SampledFrom([]string{event.StreamEvents, event.StreamState, event.StreamMetrics}).Draw(t, "next")
		if at[name] < len(streams[name]) {
			out = append(out, streams[name][at[name]])
			at[name]++
			rest--
			if rapid.IntRange(0, 9).Draw(t, "again") == 0 {
				from := rapid.IntRange(0, at[name]-1).Draw(t, "from")
				out = append(out, streams[name][from:at[name]]...)
			}
		}
	}
	return out
}

// Every way of reading the same streams folds to the same.
func TestAnyInterleaving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		streams := place(t, sent(t))
		var results []outcome
		for range 2 {
			k := newKnown()
			ch := foldAll(k, interleave(t, streams))
			if len(ch.Findings) > 0 {
				t.Fatalf("findings %+v", ch.Findings)
			}
			results = append(results, outcomeOf(k, ch))
			for name, s := range streams {
				if got := k.Cursors[name].Seq; got != uint64(len(s)) {
					t.Fatalf("cursor of %s is %d of %d", name, got, len(s))
				}
			}
		}
		if diff := cmp.Diff(results[0], results[1]); diff != "" {
			t.Fatal(diff)
		}
		for key, n := range results[0].Events {
			if n != 1 && key[:5] != "stock" {
				t.Fatalf("%s folded %d times", key, n)
			}
		}
	})
}

// Messages of outboxes come to the same in any order that the stream kept
// them in, not only in any order of reading.
func TestAnyOrderOfStoring(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var msgs []Message
		for _, m := range sent(t) {
			if m.Sequence > 0 {
				msgs = append(msgs, m)
			}
		}
		fold := func(seed int64) outcome {
			order := append([]Message(nil), msgs...)
			rand.New(rand.NewSource(seed)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			at := map[string]uint64{}
			for i := range order {
				at[order[i].Stream]++
				order[i].Incarnation, order[i].StreamSeq = 1, at[order[i].Stream]
			}
			k := newKnown()
			o := outcomeOf(k, foldAll(k, order))
			for key, v := range o.Winners {
				v.StreamSeq = 0
				o.Winners[key] = v
			}
			return o
		}
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		if diff := cmp.Diff(fold(a), fold(b)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAdvance(t *testing.T) {
	at := func(stream string, incarnation, seq uint64) *Message {
		return &Message{Incarnation: incarnation, Event: event.Event{Kind: event.KindOfStream(stream), Entity: "r1", Type: "x.v1", Site: "syd",
			Stream: stream, StreamSeq: seq, Received: t0, Data: json.RawMessage(`{}`)}}
	}
	k, ch := newKnown(), NewChanges()
	for _, m := range []*Message{
		at(event.StreamState, 1, 3), at(event.StreamState, 1, 9), // superseded: no hole
		at(event.StreamEvents, 1, 1), at(event.StreamEvents, 1, 4), // 2 and 3 are missing
		at(event.StreamEvents, 2, 1), // made again
		at(event.StreamEvents, 1, 5), // read before it was
	} {
		Fold(k, ch, m)
	}
	var ids []string
	for _, f := range ch.Findings {
		ids = append(ids, f.ID)
	}
	if diff := cmp.Diff([]string{"hole/EVENTS/1/2-3", "renewed/EVENTS/2"}, ids); diff != "" {
		t.Fatal(diff)
	}
	if ch.Skipped != 1 || !cmp.Equal(k.Cursors[event.StreamEvents], Cursor{Incarnation: 2, Seq: 1, Start: 1, Began: t0}) {
		t.Fatalf("skipped %d, cursor %+v", ch.Skipped, k.Cursors[event.StreamEvents])
	}
}

func TestBegin(t *testing.T) {
	c := &Cursor{Incarnation: 2, Seq: 100, Start: 1}
	for _, tc := range []struct {
		name   string
		c      *Cursor
		stream string
		e      Extent
		seq    uint64
		alarm  string
		ok     bool
	}{
		{"new reader of a trimmed stream", nil, "EVENTS", Extent{Incarnation: 1, First: 50, Last: 80}, 49, "", true},
		{"new reader of an empty stream", nil, "DEAD", Extent{Incarnation: 1, First: 1, Last: 0}, 0, "", true},
		{"goes on", c, "EVENTS", Extent{Incarnation: 2, First: 1, Last: 120}, 100, "", true},
		{"goes on where all was trimmed", c, "EVENTS", Extent{Incarnation: 2, First: 101, Last: 100}, 100, "", true},
		{"purged above the reader", c, "EVENTS", Extent{Incarnation: 2, First: 111, Last: 120}, 110, AlarmPurged, true},
		{"superseded above the reader", c, "STATE", Extent{Incarnation: 2, First: 111, Last: 120}, 100, "", true},
		{"ahead of the stream", c, "EVENTS", Extent{Incarnation: 2, First: 1, Last: 60}, 100, AlarmCursorAhead, false},
		{"put back to an older copy", c, "EVENTS", Extent{Incarnation: 2, First: 1, Last: 60, Parted: &Mark{48, 7}}, 48, AlarmHistory, true},
		{"put back, and what was common is purged", c, "EVENTS", Extent{Incarnation: 2, First: 51, Last: 160, Parted: &Mark{48, 7}}, 50, AlarmHistory, true},
		{"restored", c, "EVENTS", Extent{Incarnation: 3, First: 11, Last: 60}, 10, AlarmRenewed, true},
	} {
		next, found, ok := Begin(tc.c, tc.stream, tc.e, t0)
		alarm := ""
		if len(found) > 0 {
			alarm = found[0].Alarm.Alarm
		}
		if next.Seq != tc.seq || alarm != tc.alarm || ok != tc.ok {
			t.Errorf("%s: cursor %d, alarm %q, ok %v", tc.name, next.Seq, alarm, ok)
		}
	}
}
