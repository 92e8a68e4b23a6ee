package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/telemetry"
)

// written is how many bytes this process has handed to write calls.
func written(b *testing.B) (n float64) {
	b.Helper()
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if _, err := fmt.Sscanf(line, "wchar: %f", &n); err == nil {
			return n
		}
	}
	b.Fatalf("no bytes in %s", data)
	return 0
}

// BenchmarkKept is what it costs to keep what was acknowledged: polls of devices with
// ten interfaces, unchanged, 33 of them a transaction, as 2,000 devices a minute make
// them. B/poll is what goes to write calls, database and what is kept together.
func BenchmarkKept(b *testing.B) {
	const devices, together = 2000, 33
	for _, keep := range []int64{-1, 0} {
		b.Run(map[int64]string{-1: "without", 0: "with"}[keep], func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			o, err := Open(ctx, Config{Path: filepath.Join(b.TempDir(), "o.db"), Producer: producer, BallastBytes: -1, KeepBytes: keep}, telemetry.Nop())
			if err != nil {
				b.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- o.Run(ctx) }()
			random := rand.New(rand.NewPCG(1, 2))
			counts := make([]uint64, 80*devices)
			before, polls := written(b), 0
			for b.Loop() {
				var events []event.Event
				for range together {
					d := polls % devices
					polls++
					events = append(events, poll(b, d, counts[80*d:80*(d+1)], random)...)
				}
				if err := o.Put(ctx, events...); err != nil {
					b.Fatal(err)
				}
				for o.Stats().Depth > 0 {
					sent, err := o.Next(ctx, 256)
					if err != nil {
						b.Fatal(err)
					}
					for i := range sent {
						o.Ack(&sent[i])
					}
				}
			}
			cancel()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
			b.ReportMetric((written(b)-before)/float64(polls), "B/poll")
			b.ReportMetric(0, "ns/op")
			if keep == 0 {
				var kept float64
				for _, s := range o.queue.kept.files {
					kept += float64(s.size)
				}
				b.ReportMetric(kept/float64(polls), "kept-B/poll")
			}
		})
	}
}

// poll is what one poll of an unchanged device says: its counters, which have moved, and
// a heartbeat.
func poll(b *testing.B, device int, counts []uint64, random *rand.Rand) []event.Event {
	b.Helper()
	now := time.Now().UTC()
	ent := event.Entity(fmt.Sprintf("device-%04d", device))
	list := event.CountersList{Device: ent, Timing: &event.CheckTiming{Check: "snmp", Timing: event.Timing{Total: 10 * random.Float64()}}}
	for i := range 10 {
		list.Index = append(list.Index, fmt.Sprint(i+1))
		for j, into := range []*[]uint64{&list.InOctets, &list.OutOctets, &list.InPackets, &list.OutPackets, &list.InErrors, &list.OutErrors, &list.InDiscards, &list.OutDiscards} {
			c := &counts[8*i+j]
			if *c += random.Uint64N(1 << 20); j >= 4 {
				*c = 0
			}
			*into = append(*into, *c)
		}
	}
	seen := event.Seen{Device: ent, Counting: now, Checks: []event.CheckRuns{{Name: "snmp", Runs: 17, Last: now, Latency: 3.5}}, From: 1, States: 13, Digest: event.Digest(random.Uint64()).String()}
	out := []event.Event{{Kind: event.KindMetric, Entity: ent, Type: event.TypeCountersList, Time: now}, {Kind: event.KindState, Entity: ent, Type: event.TypeSeen, Time: now}}
	for i, payload := range []any{list, seen} {
		data, err := json.Marshal(payload)
		if err != nil {
			b.Fatal(err)
		}
		out[i].Data = data
	}
	return out
}
