package sqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// BenchmarkWritten folds polls of 2,000 devices of ten interfaces in which nothing has
// changed, those of a second at a time, and reports what is written to the disk for
// one: the first 70 minutes fill what is kept, the next are measured.
func BenchmarkWritten(b *testing.B) {
	const devices, seconds, fill = 2000, 60, 70
	ctx := context.Background()
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	db := openTest(b, b.TempDir(), store.Options{Now: func() time.Time { return at }})
	body := func(v any) json.RawMessage {
		data, err := json.Marshal(v)
		if err != nil {
			b.Fatal(err)
		}
		return data
	}
	order := rand.New(rand.NewPCG(1, 2)).Perm(devices) // of the first poll; the others are in that of the ids
	seqs, polls := map[event.Kind]uint64{}, 0
	var msgs []fold.Message
	put := func(kind event.Kind, entity event.Entity, typ event.Type, data json.RawMessage) {
		seqs[kind]++
		msgs = append(msgs, fold.Message{Incarnation: 1, Event: event.Event{Kind: kind, Site: "syd", Entity: entity, Type: typ, Producer: "p", Epoch: 1,
			Sequence: seqs[kind], Stream: kind.Stream(), StreamSeq: seqs[kind], Time: at, Received: at, Data: data}})
	}
	poll := func(n int, first bool) {
		polls++
		device := event.Entity(fmt.Sprintf("s%04d", n))
		all := event.CountersList{Timing: &event.CheckTiming{Check: "snmp", Timing: event.Timing{Total: 12.25, FirstByte: 1.5}}}
		for i := range 10 {
			index := strconv.Itoa(i + 1)
			all.Add(index, event.Counters{InOctets: uint64(polls) << 20, OutOctets: uint64(polls) << 21, InPackets: uint64(polls) << 8, OutPackets: uint64(polls) << 9})
			if first {
				put(event.KindState, device.Interface(index), event.TypeInterface, body(event.Interface{Device: device, Index: index, Name: "ge0/" + index,
					Alias: "port " + index, AdminStatus: "up", OperStatus: "up", Speed: 1e9, MTU: 1500, MAC: "02:00:00:00:00:01"}))
			}
		}
		if first {
			put(event.KindState, device, event.TypeReachability, body(event.Reachability{Device: device, Status: "up", Method: "snmp"}))
			put(event.KindState, device, event.TypeInventory, body(event.Inventory{Device: device, Name: "simulated", Description: "Simulated switch, firmware 1.0"}))
			put(event.KindState, device.Check("snmp"), event.TypeCheck, body(event.Check{Device: device, Name: "snmp", Status: "ok", Collector: "snmp", Latency: 1.5}))
		}
		put(event.KindMetric, device, event.TypeCountersList, body(all))
		put(event.KindState, device, event.TypeSeen, body(event.Seen{Device: device, Counting: at, Digest: "0000000000000000", From: 1, States: 13,
			Checks: []event.CheckRuns{{Name: "snmp", Runs: uint64(polls), Last: at, Latency: 1.5}}}))
	}
	minute := func(first bool) {
		for second := range seconds {
			at = at.Add(time.Second)
			for n := range devices {
				if n%seconds == second {
					if first {
						n = order[n]
					} else {
						n = order[n] * 7 % devices // another order, which stays
					}
					poll(n, first)
				}
			}
			for len(msgs) > 0 {
				part := msgs[:min(len(msgs), store.MaxBatch)]
				if r, err := db.Writer.Apply(ctx, "acme", part); err != nil || r.Skipped > 0 {
					b.Fatal(r.Skipped, err)
				}
				msgs = msgs[len(part):]
			}
		}
	}
	minute(true)
	for range fill {
		minute(false)
	}
	before, n := written(b), polls
	began := time.Now()
	for range 2 * max(b.N, 10) {
		minute(false)
	}
	b.ReportMetric(float64(written(b)-before)/float64(polls-n), "written-B/poll")
	b.ReportMetric(float64(time.Since(began).Microseconds())/float64(polls-n), "µs/poll")
	b.ReportMetric(0, "ns/op")
}

// written is what this process has had written to disks, in bytes.
func written(b *testing.B) int64 {
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(data, []byte("\nwrite_bytes: "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(string(line), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}
