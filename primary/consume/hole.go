package consume

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
	"midplane/streams"
)

const (
	// fillWindow messages are asked for at once, fillAtOnce at any moment.
	fillWindow = 512
	fillAtOnce = 64
	// missingWithin bounds the question whether messages are lost.
	missingWithin = 5 * time.Second
	// holeEvery is how often a stream is looked at whose reading waits at a hole.
	holeEvery = 5 * time.Second
)

// waits is the error of a reader that stands before messages that the leader does not
// have and another replica may have.
type waits struct {
	fold.Range
	answer api.MissingAnswer
}

func (w *waits) Error() string {
	return fmt.Sprintf("sequence %d to %d is missing: %s", w.From, w.To, w.answer.Why)
}

// lost asks the control plane about messages that the leader does not have. It
// returns nil when no replica has them, so that they may be passed; then nothing
// between from and to that is missing can be had. begins says that the stream begins
// behind them.
func (r *reader) lost(ctx context.Context, incarnation uint64, missing fold.Range, begins bool) error {
	if r.stream == event.StreamState || r.t.format.Load() < api.CoreWithMissing {
		return nil // superseding makes holes; nodes of an older version do not know
	}
	ask, cancel := context.WithTimeout(ctx, missingWithin)
	defer cancel()
	w := &waits{Range: missing}
	req := api.MissingRequest{Tenant: r.t.id, Stream: r.stream, From: missing.From, To: missing.To, Begins: begins}
	if err := r.t.core.Do(ask, api.CoreMissing, req, &w.answer); err != nil {
		return fault.Wrap(fault.Unavailable, err, "is sequence %d to %d lost?", missing.From, missing.To)
	}
	if w.answer.Lost {
		return nil
	}
	f := fold.Waits(r.stream, incarnation, missing, w.answer.Why)
	if r.raised != f.ID {
		if err := r.t.store.Find(ctx, r.t.id, f); err != nil {
			return err
		}
	}
	r.raise(ctx, []fold.Finding{f})
	return w
}

// wait shows that reading waits at a hole.
func (r *reader) wait(w *waits) {
	r.set(func(st *readerStatus) {
		st.problem = ""
		if st.waiting == nil || st.waiting.From != w.From {
			st.waiting = &api.Waiting{From: w.From, To: w.To, Since: time.Now().UTC()}
		}
		now := *st.waiting // a report may have the one before
		now.Why, now.Nodes = w.answer.Why, w.answer.Nodes
		st.waiting = &now
	})
}

// fill asks the leader for from…to, which the replica we read from did not have.
// What the leader does not have either is passed once no replica has it, and folding
// finds the hole; until then the error is *waits, and what comes before is committed.
func (b *batch) fill(ctx context.Context, from, to uint64) error {
	lost, found := false, false
	for next := from; next <= to; {
		_, seq, _, err := get(ctx, b.nc, b.r.stream, streams.Get{Seq: next, Next: ">", NoHeaders: true})
		switch {
		case isNoMessage(err):
			return fault.New(fault.Unavailable, "the leader ends before %d, which was delivered", to+1)
		case err != nil:
			return err
		}
		if seq > next && !lost {
			if err := b.commit(ctx); err != nil {
				return err
			}
			if err := b.r.lost(ctx, b.incarnation, fold.Range{From: next, To: min(seq-1, to)}, false); err != nil {
				return err
			}
			lost = true
		}
		if seq > to {
			return nil
		}
		if !found {
			f := fold.Replica(b.r.stream, b.incarnation, fold.Range{From: seq, To: to}, b.node)
			if err := b.r.t.store.Find(ctx, b.r.t.id, f); err != nil {
				return err
			}
			b.r.raise(ctx, []fold.Finding{f})
			found = true
		}
		if next, err = b.fetch(ctx, seq, min(seq+fillWindow-1, to)); err != nil {
			return err
		}
	}
	return nil
}

// fetch takes from…to from the leader, many at once, up to the first that it does not
// have, and returns the sequence behind the last that it took.
func (b *batch) fetch(ctx context.Context, from, to uint64) (next uint64, err error) {
	got := make([]*fold.Message, to-from+1)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fillAtOnce)
	for i := range got {
		g.Go(func() error {
			m, seq, stored, err := get(gctx, b.nc, b.r.stream, streams.Get{Seq: from + uint64(i)})
			if isNoMessage(err) {
				return nil
			}
			if err != nil {
				return err
			}
			parsed := parse(m, b.r.stream, seq, b.incarnation, stored)
			got[i] = &parsed
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return from, err
	}
	for _, m := range got {
		if m == nil {
			break
		}
		b.push(*m)
		if b.full() {
			if err := b.commit(ctx); err != nil {
				return from, err
			}
		}
	}
	return b.cursor + 1, nil
}
