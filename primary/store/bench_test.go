package store

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"midplane/event"
	"midplane/primary/fold"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// pollerEvents makes n events as eight pollers write them: a ledger each, 500 devices.
func pollerEvents(from, n int) []fold.Message {
	msgs := make([]fold.Message, n)
	for i := range msgs {
		seq := from + i
		poller := seq % 8
		at := t0.Add(time.Duration(seq) * time.Millisecond)
		pseq := uint64(seq/8 + 1)
		msgs[i] = fold.Message{Incarnation: 1, Event: event.Event{
			Kind: event.KindEvent, Severity: event.Warning, Entity: event.Entity(fmt.Sprintf("r%d/if/%d", seq%500, seq%4)), Site: "syd",
			Type: event.TypeInterfaceChanged, ID: fmt.Sprintf("p%d/1/EVENTS/%d", poller, pseq), Time: at, Received: at,
			Producer: event.Producer(fmt.Sprintf("p%d", poller)), Epoch: 1, Sequence: pseq, Low: pseq - 1,
			TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
			Data: json.RawMessage(fmt.Sprintf(`{"device":"r%d","name":"eth%d","from":"up","to":"down","message":"interface eth%d of r%d went down, %064d"}`,
				seq%500, seq%4, seq%4, seq%500, seq)),
			Stream: event.StreamEvents, StreamSeq: uint64(seq + 1),
		}}
	}
	return msgs
}

// BenchmarkFold measures events folded exactly once with synchronous=FULL, and
// beside it plain inserts into a table of the same shape in the same run.
func BenchmarkFold(b *testing.B) {
	for _, size := range []int{50, 500, 1000} {
		b.Run(fmt.Sprintf("fold/%d", size), func(b *testing.B) {
			s, err := Open(context.Background(), Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				msgs := pollerEvents(n, size)
				b.StartTimer()
				r, err := s.Apply(context.Background(), "acme", msgs)
				if err != nil || r.Folded[event.KindEvent] != size || len(r.Findings) > 0 {
					b.Fatal(r, err)
				}
				n += size
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
	b.Run("plain/1000", func(b *testing.B) {
		s, err := Open(context.Background(), Config{Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		ctx := context.Background()
		if _, err := s.conn.ExecContext(ctx, `CREATE TABLE plain (pos INTEGER PRIMARY KEY, tenant, site, device, entity, severity, type, id, time,
			received, producer, trace, stream_seq, data)`); err != nil {
			b.Fatal(err)
		}
		st, err := s.conn.PrepareContext(ctx, `INSERT INTO plain (tenant, site, device, entity, severity, type, id, time, received, producer, trace,
			stream_seq, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		n := 0
		for b.Loop() {
			b.StopTimer()
			msgs := pollerEvents(n, 1000)
			b.StartTimer()
			err := s.write(ctx, func(ctx context.Context) error {
				for i := range msgs {
					m := &msgs[i]
					if _, err := st.ExecContext(ctx, "acme", string(m.Site), string(m.Entity.Device()), string(m.Entity), m.Severity.Level(), string(m.Type),
						m.ID, m.Time.UnixNano(), m.Received.UnixNano(), string(m.Producer), m.TraceID(), int64(m.StreamSeq), []byte(m.Data)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			n += 1000
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	})
}
