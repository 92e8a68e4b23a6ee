package outbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"midplane/event"
	"midplane/fault"
)

const (
	// maxBatch is about how many messages share a transaction at most.
	maxBatch = 4096
	// yields is how often other goroutines are let run before a batch is closed:
	// the callers that the last commit woke are about to put again (with 64 of
	// them 42 instead of 26 share a transaction). It costs microseconds.
	yields = 20
	// ackDelay is how long acknowledgements are collected when nothing else is
	// written: losing them in a crash costs a few duplicates, which the stream drops.
	ackDelay = 10 * time.Millisecond
)

// writer is the only one that writes the database: what is put, and what the
// queue has pending. All but requests belongs to the goroutine of run.
type writer struct {
	id       *identity
	db       *handles
	queue    *queue
	space    space
	trouble  *trouble
	derive   func(prev *event.Event, next event.Event) []event.Event
	requests chan *request
	maxBytes int64
	ledgers  time.Duration // how often they are looked at
	last     [lanes]uint64 // the highest sequence of each lane that is committed
	count    func(entries []event.Event)

	overflowFile string
}

// run commits what is put and pending until ctx ends. The error says that the
// database can no longer be trusted to hold what it should.
func (w *writer) run(ctx context.Context) error {
	tick := time.NewTicker(max(w.ledgers, time.Millisecond))
	defer tick.Stop()
	ballastAt := time.Now().Add(ballastEvery)
	for {
		var batch []*request
		ledgers := false
		select {
		case <-ctx.Done():
			return w.finish()
		case r := <-w.requests:
			batch = w.gather(r)
		case <-w.queue.unwritten:
			batch = w.linger(ctx)
		case now := <-tick.C:
			w.saveOverflow(now, false)
			if ledgers = true; now.After(ballastAt) {
				ballastAt = now.Add(ballastEvery)
				w.space.keepBallast()
			}
		}
		if err := w.commit(batch, ledgers); err != nil {
			return err
		}
	}
}

// finish commits what was handed over before the stop.
func (w *writer) finish() error {
	var batch []*request
	select {
	case r := <-w.requests:
		batch = w.gather(r)
	default:
	}
	err := w.commit(batch, false)
	w.saveOverflow(time.Now(), true)
	return err
}

// gather takes what else waits to be put: it shares the transaction.
func (w *writer) gather(first *request) []*request {
	batch := []*request{first}
	n, bytes := len(first.events), first.bytes
	patience := yields
	for n < maxBatch && bytes < int(w.maxBytes/putPart) {
		select {
		case r := <-w.requests:
			if !r.gone.Load() {
				batch = append(batch, r)
				n, bytes = n+len(r.events), bytes+r.bytes
			}
		default:
			if patience--; patience < 0 {
				return batch
			}
			runtime.Gosched()
		}
	}
	return batch
}

// linger waits a moment for more acknowledgements, or for a request to share with.
func (w *writer) linger(ctx context.Context) []*request {
	timer := time.NewTimer(ackDelay)
	defer timer.Stop()
	select {
	case r := <-w.requests:
		return w.gather(r)
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// commit writes batch and what is pending, makes room when there is none, and
// answers. The error is fatal.
func (w *writer) commit(batch []*request, ledgers bool) error {
	ctx := context.Background() // a stop must not tear a transaction
	need := 0
	for _, r := range batch {
		need += r.bytes
	}
	err := w.try(ctx, batch, ledgers)
	var done room
	for range maxRooms {
		if !isFull(err) || !w.space.makeRoom(ctx, need, &done) {
			break
		}
		err = w.try(ctx, batch, ledgers)
	}
	if isFull(err) && len(batch) > 1 {
		for _, r := range batch { // some may fit
			if err := w.commit([]*request{r}, false); err != nil {
				return err
			}
		}
		return nil
	}
	var fatal *lostError
	for _, r := range batch {
		if err == nil {
			r.done <- r.err
			continue
		}
		r.done <- dbError(err, "put into the outbox")
	}
	if errors.As(err, &fatal) {
		return fatal
	}
	if err != nil {
		w.trouble.wrote(err)
	}
	return nil
}

// try is one transaction: what is pending, then batch, then ledger messages
// that are due. After an error nothing has changed.
func (w *writer) try(ctx context.Context, batch []*request, ledgers bool) (err error) {
	p := newPlan(w.id, w.last)
	if ledgers {
		w.planOverflow(p)
		w.queue.planLedgers(p)
	}
	pend := w.queue.pending() // after it, since a planned ledger message marks its tombstones
	if pend.empty() && len(batch) == 0 && len(p.entries) == 0 {
		return nil
	}
	if err = w.transact(ctx, pend, batch, p); err != nil {
		w.queue.restore(pend, p)
		return w.verify(ctx, err)
	}
	w.last = p.last
	w.queue.settle(pend, p)
	if p.overflow {
		w.dropOverflow()
	}
	w.count(p.entries)
	w.trouble.wrote(nil)
	return nil
}

func (w *writer) transact(ctx context.Context, pend *pending, batch []*request, p *plan) error {
	// Nobody else writes, so the last states may be read before the transaction:
	// most polls say nothing new, and then there is none.
	d := deriver{derive: w.derive, repeats: w.queue.repeats, stored: func(k stateKey) (*event.Event, error) { return w.db.lastState(ctx, k) }}
	for _, r := range batch {
		if r.err = p.add(r.events, d); r.err != nil && !fault.Is(r.err, fault.Invalid) {
			return r.err
		}
	}
	if pend.empty() && len(p.entries) == 0 {
		return nil
	}
	tx, err := w.db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := w.db.flush(ctx, tx, pend); err != nil {
		return err
	}
	if err := w.db.put(ctx, tx, p, w.last); err != nil {
		return err
	}
	return w.db.commit(tx)
}

// lostError is a commit of which it is not known whether it was one.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// verify looks whether a transaction that failed with err did change nothing.
// If not, the counters in memory are wrong: the outbox must be opened again.
func (w *writer) verify(ctx context.Context, err error) error {
	for l := range lanes {
		last, _, rerr := w.db.counters(ctx, lane(l))
		if rerr != nil {
			return &lostError{fault.Wrap(fault.Other, errors.Join(err, rerr), "the outbox cannot be read")}
		}
		if last != w.last[l] {
			return &lostError{fault.Wrap(fault.Other, err, "%s", fmt.Sprintf("the outbox has %s %d, not %d, after a failed commit", kinds[l].Stream(), last, w.last[l]))}
		}
	}
	return err
}
