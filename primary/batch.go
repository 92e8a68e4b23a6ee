package primary

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// batch turns what arrives into transactions.
type batch struct {
	r           *reader
	nc          *nats.Conn
	incarnation uint64
	cursor      uint64 // committed, or in msgs
	msgs        []fold.Message
	pending     uint64 // still in the stream behind the last of msgs
}

// take folds first and what else has arrived, in one transaction of at most
// store.MaxBatch messages.
func (b *batch) take(ctx context.Context, first jetstream.Msg, more <-chan jetstream.Msg) error {
	size := 0
	for m := first; ; {
		if err := b.add(ctx, m); err != nil {
			return err
		}
		size += len(m.Data())
		if len(b.msgs) >= store.MaxBatch || size >= batchBytes {
			return b.commit(ctx)
		}
		select {
		case m = <-more:
		default:
			return b.commit(ctx)
		}
	}
}

func (b *batch) add(ctx context.Context, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "a message without its place")
	}
	seq := meta.Sequence.Stream
	if seq <= b.cursor {
		return nil // delivered again
	}
	if seq > b.cursor+1 && b.r.stream != event.StreamState {
		if err := b.fill(ctx, b.cursor+1, seq-1); err != nil {
			return err
		}
	}
	b.push(parse(&nats.Msg{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()}, b.r.stream, seq, b.incarnation, meta.Timestamp))
	b.pending = meta.NumPending
	return nil
}

func (b *batch) push(m fold.Message) {
	b.msgs = append(b.msgs, m)
	b.cursor = m.StreamSeq
}

// fill asks the leader for from…to, which the replica we read from did not
// have. What the leader has not either is missing, and folding says so; without
// its answer nothing is passed over.
func (b *batch) fill(ctx context.Context, from, to uint64) error {
	for next := from; next <= to; {
		m, seq, stored, err := get(ctx, b.nc, b.r.stream, getRequest{Seq: next, Next: ">"})
		if errors.Is(err, errNoMessage) {
			return fault.New(fault.Unavailable, "the leader ends before %d, which was delivered", to+1)
		}
		if err != nil {
			return err
		}
		if seq > to {
			return nil
		}
		f := fold.Replica(b.r.stream, b.incarnation, fold.Range{From: seq, To: seq})
		if err := b.r.t.p.store.Find(ctx, b.r.t.id, f); err != nil {
			return err
		}
		b.r.alarm(ctx, []fold.Finding{f})
		b.push(parse(m, b.r.stream, seq, b.incarnation, stored))
		if len(b.msgs) >= store.MaxBatch {
			if err := b.commit(ctx); err != nil {
				return err
			}
		}
		next = seq + 1
	}
	return nil
}

// commit folds the batch, and keeps trying while the disk is full or busy: the
// messages are at hand, and reading them again would help nobody.
func (b *batch) commit(ctx context.Context) error {
	if len(b.msgs) == 0 {
		return nil
	}
	r, p := b.r, b.r.t.p
	end := trace(ctx, p.tel.Tracer, r.t.id, r.stream, b.msgs)
	wait := newBackoff(100*time.Millisecond, 10*time.Second)
	said := once{log: r.tel.Log, fails: "folding waits", works: "folding goes on"}
	var result fold.Result
	for {
		var err error
		result, err = p.store.Apply(ctx, r.t.id, b.msgs)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			end(err)
			return ctx.Err()
		}
		if !fault.Is(err, fault.Exhausted) && !fault.Is(err, fault.Unavailable) {
			end(err)
			return err
		}
		last := b.end(ctx)
		r.set(func(st *readerStatus) { st.problem, st.last = r.stream+": "+describe(err), last })
		said.note(err)
		if err := sleep(ctx, wait.next()); err != nil {
			end(err)
			return err
		}
	}
	end(nil)
	said.note(nil)
	clear(b.msgs) // let go of the payloads
	b.msgs = b.msgs[:0]
	r.alarm(ctx, result.Findings)
	p.metrics.fold(ctx, r.t.id, result.Folded)
	r.set(func(st *readerStatus) {
		if c, moved := result.Cursors[r.stream]; moved {
			st.cursor = c
		}
		st.problem, st.last, st.folded = "", b.cursor+b.pending, time.Now().UTC()
	})
	poke(r.t.committed)
	return nil
}

// end is where the stream ends now, or did when the batch was read: who waits
// for a disk must still see that it falls behind.
func (b *batch) end(ctx context.Context) uint64 {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	end := b.cursor + b.pending
	if _, last, _, err := get(ctx, b.nc, b.r.stream, getRequest{Last: ">"}); err == nil {
		end = max(end, last)
	}
	return end
}
