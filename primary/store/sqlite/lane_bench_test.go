package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// BenchmarkLane reads what a producer says of one device, its digest included, as
// package repair does, out of 1,000 devices with 48 interfaces and 3 checks each.
func BenchmarkLane(b *testing.B) {
	const devices = 1000
	ctx := context.Background()
	db := openTest(b, b.TempDir(), store.Options{})
	if err := db.Writer.write(ctx, func(ctx context.Context) error {
		for typ, part := range map[event.Type]string{
			event.TypeReachability: `'' FROM d, (SELECT 0 i)`, event.TypeInventory: `'' FROM d, (SELECT 0 i)`, event.TypeSeen: `'' FROM d, (SELECT 0 i)`,
			event.TypeInterface: `'/if/' || i FROM d, (SELECT n i FROM d WHERE n <= 48)`, event.TypeCheck: `'/check/c' || i FROM d, (SELECT n i FROM d WHERE n <= 3)`,
		} {
			if _, err := db.Writer.conn.ExecContext(ctx, fmt.Sprintf(`WITH RECURSIVE d(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM d WHERE n < %d),
				e(n, entity) AS (SELECT d.n, 'r' || d.n || %s)
				INSERT INTO states SELECT 'acme', '%s', 'syd', entity, 'r' || n, 'p', 0, 1, 1, n, 1, n, 1, 1, 1,
				CAST('{"device":"r","name":"eth","status":"up","more":"' || hex(zeroblob(80)) || '"}' AS BLOB) FROM e`, devices, part, typ)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		states, err := db.Reader.Lane(ctx, store.DeviceLane{Tenant: "acme", DeviceLane: fold.DeviceLane{
			DeviceKey: fold.DeviceKey{Site: "syd", Device: event.Entity(fmt.Sprintf("r%d", n*7%devices+1))}, Producer: "p"}})
		if err != nil || len(states) != 54 {
			b.Fatal(len(states), err)
		}
		var sum event.Digest
		for _, s := range states {
			sum = sum.Add(event.DigestOf(s.Entity, s.Type, s.Data))
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "devices/s")
}

// BenchmarkPolls folds a poll of a device with 48 interfaces and 3 checks: its
// counters in one message and a heartbeat, and beside it the same as one message an
// interface with every state again.
func BenchmarkPolls(b *testing.B) {
	body := func(v any) json.RawMessage {
		data, err := json.Marshal(v)
		if err != nil {
			b.Fatal(err)
		}
		return data
	}
	t0 := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for _, list := range []bool{true, false} {
		b.Run(map[bool]string{true: "changes", false: "everything"}[list], func(b *testing.B) {
			w := openTest(b, b.TempDir(), store.Options{}).Writer
			seqs, polls := map[event.Kind]uint64{}, 0
			for b.Loop() {
				b.StopTimer()
				var msgs []fold.Message
				put := func(kind event.Kind, entity event.Entity, typ event.Type, at time.Time, data json.RawMessage) {
					seqs[kind]++
					msgs = append(msgs, fold.Message{Incarnation: 1, Event: event.Event{Kind: kind, Site: "syd", Entity: entity, Type: typ, Producer: "p", Epoch: 1,
						Sequence: seqs[kind], Stream: kind.Stream(), StreamSeq: seqs[kind], Time: at, Received: at, Data: data}})
				}
				for range 9 { // devices, so that both are about a transaction's size
					device := event.Entity(fmt.Sprint("r", polls%500))
					at := t0.Add(time.Duration(polls/500) * time.Minute)
					polls++
					var all event.CountersList
					for i := range 48 {
						c := event.Counters{InOctets: uint64(polls) << 20, OutOctets: uint64(polls) << 21, InPackets: uint64(polls) << 8, OutPackets: uint64(polls) << 9}
						all.Add(fmt.Sprint(i), c)
						if !list {
							part := device.Interface(fmt.Sprint(i))
							put(event.KindMetric, part, event.TypeCounters, at, body(c))
							put(event.KindState, part, event.TypeInterface, at, body(event.Interface{Device: device, Index: fmt.Sprint(i), Name: "eth", OperStatus: "up"}))
						}
					}
					seen := event.Seen{Device: device, Counting: t0, Digest: "0000000000000000"}
					for i := range 3 {
						name := fmt.Sprint("c", i)
						seen.Checks = append(seen.Checks, event.CheckRuns{Name: name, Runs: uint64(polls), Last: at, Latency: 1})
						if !list {
							put(event.KindState, device.Check(name), event.TypeCheck, at, body(event.Check{Device: device, Name: name, Status: "ok", Latency: 1}))
						}
					}
					if list {
						put(event.KindMetric, device, event.TypeCountersList, at, body(all))
						put(event.KindState, device, event.TypeSeen, at, body(seen))
					}
				}
				b.StartTimer()
				if r, err := w.Apply(context.Background(), "acme", msgs); err != nil || r.Skipped > 0 {
					b.Fatal(r.Skipped, err)
				}
			}
			b.ReportMetric(float64(polls)/b.Elapsed().Seconds(), "polls/s")
		})
	}
}
