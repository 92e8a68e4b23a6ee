package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// BenchmarkHistory reads everything that is known of one device of ten interfaces,
// with an hour of polls, out of 300.
func BenchmarkHistory(b *testing.B) {
	const devices = 300
	ctx := context.Background()
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	db := openTest(b, b.TempDir(), store.Options{Now: func() time.Time { return at }})
	seqs := map[event.Kind]uint64{}
	for minute := range 62 {
		at = at.Add(time.Minute)
		var msgs []fold.Message
		put := func(kind event.Kind, entity event.Entity, typ event.Type, v any) {
			data, err := json.Marshal(v)
			if err != nil {
				b.Fatal(err)
			}
			seqs[kind]++
			msgs = append(msgs, fold.Message{Incarnation: 1, Event: event.Event{Kind: kind, Site: "syd", Entity: entity, Type: typ, Producer: "p", Epoch: 1,
				Sequence: seqs[kind], Stream: kind.Stream(), StreamSeq: seqs[kind], Time: at, Received: at, Data: data}})
		}
		for n := range devices {
			device := event.Entity(fmt.Sprint("r", n))
			all := event.CountersList{Timing: &event.CheckTiming{Check: "snmp", Timing: event.Timing{Total: 12.25}}}
			for i := range 10 {
				all.Add(strconv.Itoa(i+1), event.Counters{InOctets: uint64(minute) << 20, OutOctets: uint64(minute) << 21})
			}
			if minute == 0 {
				put(event.KindState, device, event.TypeDeclared, event.Declared{Device: device})
			}
			put(event.KindMetric, device, event.TypeCountersList, all)
			put(event.KindState, device, event.TypeSeen, event.Seen{Device: device, Counting: at, Digest: "0000000000000000",
				Checks: []event.CheckRuns{{Name: "snmp", Runs: uint64(minute), Last: at, Latency: 1.5}}})
		}
		if _, err := db.Writer.Apply(ctx, "acme", msgs); err != nil {
			b.Fatal(err)
		}
	}
	n := 0
	for b.Loop() {
		n++
		d, err := db.Reader.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: fmt.Sprint("r", n*7%devices)})
		if err != nil || len(d.Metrics) < 20 {
			b.Fatal(len(d.Metrics), err)
		}
	}
}
