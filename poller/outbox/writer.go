package outbox

import (
	"context"
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
	// ballastEvery is how often a lost ballast is tried to be made again.
	ballastEvery = 30 * time.Second
)

// Run commits what is put and acknowledged until ctx ends, then closes the
// outbox. It returns an error when the database can no longer be trusted to
// hold what it says.
func (o *Outbox) Run(ctx context.Context) error {
	if !o.running.CompareAndSwap(false, true) {
		return fault.New(fault.Other, "the outbox is running already")
	}
	defer o.close()
	unregister := o.observe()
	defer unregister()
	tick := time.NewTicker(max(o.cfg.LedgerAfter/2, time.Millisecond))
	defer tick.Stop()
	ballastAt := time.Now().Add(ballastEvery)
	for {
		var batch []*request
		ledgers := false
		select {
		case <-ctx.Done():
			return o.finish()
		case r := <-o.requests:
			batch = o.gather(r)
		case <-o.wakeRun:
			batch = o.linger(ctx)
		case now := <-tick.C:
			if ledgers = true; now.After(ballastAt) {
				ballastAt = now.Add(ballastEvery)
				o.makeBallast()
			}
		}
		if err := o.commit(batch, ledgers); err != nil {
			return err
		}
	}
}

// finish commits what was handed over before the stop.
func (o *Outbox) finish() error {
	var batch []*request
	select {
	case r := <-o.requests:
		batch = o.gather(r)
	default:
	}
	return o.commit(batch, false)
}

// gather takes what else waits to be put: it shares the transaction.
func (o *Outbox) gather(first *request) []*request {
	batch := []*request{first}
	n, bytes := len(first.events), first.bytes
	patience := yields
	for n < maxBatch && bytes < int(o.cfg.MaxBytes/putPart) {
		select {
		case r := <-o.requests:
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
func (o *Outbox) linger(ctx context.Context) []*request {
	timer := time.NewTimer(ackDelay)
	defer timer.Stop()
	select {
	case r := <-o.requests:
		return o.gather(r)
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// commit writes batch and what is pending, makes room when there is none, and
// answers. The error is fatal.
func (o *Outbox) commit(batch []*request, ledgers bool) error {
	ctx := context.Background() // a stop must not tear a transaction
	need := 0
	for _, r := range batch {
		need += r.bytes
	}
	err := o.try(ctx, batch, ledgers)
	var done room
	for range maxRooms {
		if !isFull(err) || !o.makeRoom(ctx, need, &done) {
			break
		}
		err = o.try(ctx, batch, ledgers)
	}
	if isFull(err) && len(batch) > 1 {
		for _, r := range batch { // some may fit
			if err := o.commit([]*request{r}, false); err != nil {
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
	if asLost(err, &fatal) {
		return fatal
	}
	if err != nil {
		o.wrote(err)
	}
	return nil
}

// try is one transaction: what is pending, then batch, then ledger messages
// that are due. After an error nothing has changed.
func (o *Outbox) try(ctx context.Context, batch []*request, ledgers bool) (err error) {
	p := &plan{now: time.Now().UnixMilli(), states: map[stateKey]*event.Event{}, last: o.last}
	if ledgers {
		o.planLedgers(p)
	}
	pend := o.pending() // after it, since a planned ledger message marks its tombstones
	if pend.empty() && len(batch) == 0 && len(p.entries) == 0 {
		return nil
	}
	if err = o.transact(ctx, pend, batch, p); err != nil {
		o.restore(pend, p)
		return o.verify(ctx, err)
	}
	o.settle(pend, p)
	o.wrote(nil)
	return nil
}

func (o *Outbox) transact(ctx context.Context, pend *pending, batch []*request, p *plan) error {
	tx, err := o.db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := o.flush(ctx, tx, pend); err != nil {
		return err
	}
	for _, r := range batch {
		if r.err = o.add(ctx, tx, p, r.events); r.err != nil && !fault.Is(r.err, fault.Invalid) {
			return r.err
		}
	}
	if err := o.write(ctx, tx, p); err != nil {
		return err
	}
	if o.inject != nil {
		if err := o.inject(); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// settle makes a committed transaction visible.
func (o *Outbox) settle(pend *pending, p *plan) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for l, done := range pend.deletes {
		if o.deletes[l] = o.deletes[l][len(done):]; len(o.deletes[l]) == 0 {
			o.deletes[l] = nil
		}
	}
	now := time.Now()
	o.last = p.last
	for i := range p.entries {
		e := &p.entries[i]
		l, _ := laneOf(e.Kind)
		o.ix.add(l, e.Sequence, e.Entity, e.Type, p.now, len(e.Data)+len(e.TraceParent)+rowOverhead(e.Entity, e.Type), e)
		o.ledgers[l].moved = now
	}
	for l, seq := range p.ledgers {
		if seq > 0 {
			o.ledgers[l].seq, o.ledgers[l].waiting = seq, true
			if !o.tombs[l].untold() { // the rest at once
				o.ledgers[l].next = now.Add(ledgerSpacing * o.cfg.LedgerAfter)
			}
		}
	}
	if len(p.entries) > 0 {
		poke(o.wakeNext)
	}
}

// poke wakes a loop that has not been woken yet.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
