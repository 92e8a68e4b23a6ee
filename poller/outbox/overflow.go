package outbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"midplane/event"
	"midplane/internal/atomicfile"
)

// overflow is the account of one time at which the outbox was at its limit, from the
// first message that was given up until half of the outbox is free again. Then it
// becomes an event. It is kept in a file of its own, so that a restart does not lose
// the numbers; of a crash the last overflowSave may be missing.
type overflow struct {
	open    bool      // messages are given up, or were and the outbox is still more than half full
	over    bool      // it has ended, and the event is not put yet
	saved   time.Time // when the file was written
	dirty   bool      // the file is behind
	account event.Overflow
}

// overflowSave is how far the file may be behind.
const overflowSave = 10 * time.Second

// begin notes that messages are given up to make room.
func (o *overflow) begin(epoch int64, now time.Time) {
	if !o.open && !o.over {
		o.account = event.Overflow{Epoch: epoch, From: now.UTC()}
	}
	o.open, o.over = true, false
}

// add counts a message that was given up while the outbox was at its limit.
func (o *overflow) add(r *row, reason string) {
	if !o.open {
		return
	}
	stream, put := kinds[r.lane].Stream(), time.UnixMilli(r.put).UTC()
	i := slices.IndexFunc(o.account.GivenUp, func(g event.GivenUp) bool { return g.Stream == stream && g.Reason == reason })
	if i < 0 {
		i = len(o.account.GivenUp)
		o.account.GivenUp = append(o.account.GivenUp, event.GivenUp{Stream: stream, Reason: reason, From: r.seq, To: r.seq, Oldest: put, Newest: put})
	}
	g := &o.account.GivenUp[i]
	g.Messages++
	g.From, g.To = min(g.From, r.seq), max(g.To, r.seq)
	if put.Before(g.Oldest) {
		g.Oldest = put
	}
	if put.After(g.Newest) {
		g.Newest = put
	}
	o.dirty = true
}

// settle ends the overflow when what waits takes at most half of the outbox.
func (o *overflow) settle(waiting, most int64, now time.Time) {
	if o.open && waiting <= most/2 {
		o.open, o.over, o.dirty = false, true, true
		o.account.Until = now.UTC()
	}
}

// messages is how many were given up.
func (o *overflow) messages() (n uint64) {
	for _, g := range o.account.GivenUp {
		n += g.Messages
	}
	return n
}

// event is the account of an overflow that has ended.
func (o *overflow) event(ent event.Entity) event.Event {
	account := o.account
	account.GivenUp = slices.Clone(account.GivenUp)
	slices.SortFunc(account.GivenUp, func(a, b event.GivenUp) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Reason, b.Reason))
	})
	var parts []string
	for _, g := range account.GivenUp {
		parts = append(parts, fmt.Sprintf("%d of %s (%s, sequence %d to %d)", g.Messages, g.Stream, g.Reason, g.From, g.To))
	}
	account.Message = fmt.Sprintf("the outbox was full from %s to %s, and messages were given up: %s",
		account.From.Format(time.RFC3339), account.Until.Format(time.RFC3339), strings.Join(parts, ", "))
	data, _ := json.Marshal(account) // numbers, strings and times only
	return event.Event{Kind: event.KindEvent, Severity: event.Error, Type: event.TypeOverflow, Entity: ent, Data: data, Time: account.Until}
}

// loadOverflow reads the account of an overflow that a stop or a crash interrupted. A
// file that cannot be read, or is of another epoch, counts as none.
func loadOverflow(path string, epoch int64) (o overflow, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return overflow{}, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &o.account)
	}
	if err != nil || o.account.Epoch != epoch {
		return overflow{}, err
	}
	o.open, o.over = o.account.Until.IsZero(), !o.account.Until.IsZero()
	return o, nil
}

// overflowed has the overflow end when it is time, and returns its account for the
// file when that is behind, by overflowSave or at all.
func (w *writer) overflowed(now time.Time, atOnce bool) (account *event.Overflow) {
	q := w.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	o := &q.overflow
	waiting := 0
	for l := range q.ix.lanes {
		waiting += q.ix.lanes[l].bytes
	}
	o.settle(int64(waiting), q.maxBytes, now)
	if !o.dirty || !atOnce && !o.over && now.Sub(o.saved) < overflowSave {
		return nil
	}
	o.dirty, o.saved = false, now
	copied := o.account
	copied.GivenUp = slices.Clone(copied.GivenUp)
	return &copied
}

// planOverflow plans the event about an overflow that has ended.
func (w *writer) planOverflow(p *plan) {
	q := w.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.overflow.over || !q.overflows {
		return
	}
	e := q.overflow.event(q.id.ledger)
	p.last[0]++
	q.id.mark(&e, p.last[0])
	p.overflow = true
	p.entries = append(p.entries, e)
}

// saveOverflow keeps the file: what was given up so far, or nothing when the event
// about it is put. That it cannot be written is logged and no reason to stop.
func (w *writer) saveOverflow(now time.Time, atOnce bool) {
	if account := w.overflowed(now, atOnce); account != nil {
		data, err := json.Marshal(account)
		if err == nil {
			err = atomicfile.Write(w.overflowFile, data)
		}
		if err != nil {
			w.trouble.log.Warn("what was given up is not kept over a restart", "file", w.overflowFile, "error", err)
		}
	}
}

func (w *writer) dropOverflow() {
	if err := os.Remove(w.overflowFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.trouble.log.Warn("an overflow that is reported may be reported again after a restart", "file", w.overflowFile, "error", err)
	}
}
