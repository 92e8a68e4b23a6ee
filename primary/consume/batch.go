package consume

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/internal/wait"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/streams"
)

// batch turns what arrives into transactions.
type batch struct {
	r           *reader
	nc          *nats.Conn
	incarnation uint64
	node        string // where the replica is that is read from; "" when not known
	cursor      uint64 // committed, or in msgs
	msgs        []fold.Message
	rows        int    // that msgs become at most
	pending     uint64 // still in the stream behind the last of msgs
	news        bool   // msgs say more than that something is unchanged
}

// linger is how long a batch waits for more while it says nothing new: pollers
// send what is unchanged in bursts, and each transaction writes whole pages.
const linger = 250 * time.Millisecond

// take folds first and what else has arrived, in one transaction of at most
// store.MaxBatch messages, which ends early when they become many rows.
func (b *batch) take(ctx context.Context, first delivery, more <-chan delivery) error {
	size := 0
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for m := first; ; {
		if err := b.add(ctx, m); err != nil {
			return err
		}
		size += len(m.Data())
		if b.full() || size >= batchBytes {
			return b.commit(ctx)
		}
		select {
		case m = <-more:
			continue
		default:
		}
		if b.news {
			return b.commit(ctx)
		}
		select {
		case m = <-more:
		case <-timer.C:
			return b.commit(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *batch) add(ctx context.Context, m delivery) error {
	seq := m.at.Sequence.Stream
	if seq <= b.cursor {
		return nil // delivered again
	}
	if seq > b.cursor+1 && b.r.stream != event.StreamState {
		if err := b.fill(ctx, b.cursor+1, seq-1); err != nil {
			return err
		}
	}
	b.push(parse(&nats.Msg{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()}, b.r.stream, seq, b.incarnation, m.at.Timestamp))
	b.pending = m.at.NumPending
	return nil
}

func (b *batch) push(m fold.Message) {
	b.msgs = append(b.msgs, m)
	b.rows += m.Rows()
	b.news = b.news || !event.Compact(m.Type)
	b.cursor = m.StreamSeq
}

// full reports whether the batch is as large as a transaction should be.
func (b *batch) full() bool { return len(b.msgs) >= store.MaxBatch || b.rows >= store.EnoughRows }

// commit folds the batch, and keeps trying while the disk is full or the
// database busy: reading the messages again would not help.
func (b *batch) commit(ctx context.Context) error {
	if len(b.msgs) == 0 {
		return nil
	}
	r := b.r
	end := trace(ctx, r.tel.Tracer, r.t.id, r.stream, b.msgs)
	pause := wait.NewGrowing(100*time.Millisecond, 10*time.Second)
	outcome := once.Log{To: r.tel.Log, Fails: "folding waits", Works: "folding goes on"}
	var result fold.Result
	for {
		var err error
		result, err = r.t.store.Apply(ctx, r.t.id, b.msgs)
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
		outcome.Note(err)
		if err := pause.For(ctx); err != nil {
			end(err)
			return err
		}
	}
	end(nil)
	outcome.Note(nil)
	clear(b.msgs) // lets go of the payloads
	b.msgs, b.rows, b.news = b.msgs[:0], 0, false
	r.raise(ctx, result.Findings)
	r.t.metrics.fold(ctx, r.t.id, result.Folded)
	r.set(func(st *readerStatus) {
		if c, moved := result.Cursors[r.stream]; moved {
			st.cursor = c
		}
		if st.waiting != nil && st.cursor.Seq >= st.waiting.From {
			st.waiting = nil
		}
		st.problem, st.last, st.folded = "", b.cursor+b.pending, time.Now().UTC()
	})
	if r.t.cfg.Folded != nil {
		r.t.cfg.Folded(r.t.id, result.Touched)
	}
	wait.Nudge(r.t.committed)
	return nil
}

// end is where the stream ends now, or did when the batch was read: while
// folding waits for a disk, the status must still show that it falls behind.
func (b *batch) end(ctx context.Context) uint64 {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	end := b.cursor + b.pending
	if _, last, _, err := get(ctx, b.nc, b.r.stream, streams.Get{Last: ">"}); err == nil {
		end = max(end, last)
	}
	return end
}
