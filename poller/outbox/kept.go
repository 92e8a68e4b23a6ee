package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"midplane/event"
	"midplane/internal/once"
	"midplane/internal/wait"
)

// What was acknowledged is kept for a while, so that what the streams lose can be sent
// once more. It is no part of what is promised: the files are not synced, and are the
// first to go when the disk is full. They grow at the end only, compressed, and go as a
// whole, so keeping costs the bytes that are kept and nothing else.
const (
	keepFor      = time.Hour
	keepPart     = 8 // of the outbox' size, on the disk
	keptSegments = 6 // files, each with a sixth of the time or of the room
	keptBlock    = 256 << 10
	keptEvery    = 30 * time.Second // so old is what is written next, at the most
	keptPending  = 4 << 20          // bytes in memory; what comes beyond is not kept
	keptPause    = 10 * time.Minute // after the disk was full
)

// keeps reports whether messages of a lane are kept. States are not: the newest of each
// is in the database, and is sent again from there.
func (l lane) keeps() bool { return kinds[l] != event.KindState }

// kept is what was acknowledged lately.
type kept struct {
	id   identity
	path string // of the database
	most int64  // bytes of all files; 0: nothing is kept
	log  once.Log
	full chan struct{} // what is pending makes a block

	// disk is held while files are written or read, and taken before mu, which never
	// waits for a disk.
	disk  sync.Mutex
	files []*segment
	next  int // number of the next file

	mu      sync.Mutex
	pending []event.Event
	writing []event.Event
	bytes   int       // of pending
	since   time.Time // when the first of pending came
	paused  time.Time // until then nothing is kept
}

// openKept finds what is kept of this epoch, and removes what is kept of another.
func openKept(id identity, cfg Config, log *slog.Logger) *kept {
	k := &kept{
		id: id, path: cfg.Path, most: max(cfg.KeepBytes, 0), full: make(chan struct{}, 1),
		log: once.Log{To: log, Fails: "what is acknowledged is not kept", Works: "what is acknowledged is kept for a while again"},
	}
	dir, base := filepath.Split(cfg.Path + ".sent.")
	entries, _ := os.ReadDir(dir) // the database is there
	for _, entry := range entries {
		rest, ours := strings.CutPrefix(entry.Name(), base)
		if !ours {
			continue
		}
		name := filepath.Join(dir, entry.Name())
		epoch, number, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(number)
		if s := readSegment(name); err == nil && epoch == strconv.FormatInt(id.epoch, 10) && k.most > 0 && len(s.blocks) > 0 {
			k.files, k.next = append(k.files, s), max(k.next, n+1)
			continue
		}
		_ = os.Remove(name) // in the worst case it is tried again at the next start
	}
	slices.SortFunc(k.files, func(a, b *segment) int { return a.last.Compare(b.last) })
	return k
}

// add keeps a message that was acknowledged. It does no I/O.
func (k *kept) add(l lane, e *event.Event) {
	if k.most == 0 || !l.keeps() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now, size := time.Now(), len(e.Data)+rowOverhead(e.Entity, e.Type)
	if int64(k.bytes+size) > min(keptPending, k.most) || now.Before(k.paused) {
		return
	}
	if len(k.pending) == 0 {
		k.since = now
	}
	k.pending = append(k.pending, *e)
	if k.bytes += size; k.bytes >= keptBlock {
		wait.Nudge(k.full)
	}
}

// run writes what is to be kept until ctx ends.
func (k *kept) run(ctx context.Context) {
	tick := time.NewTicker(keptEvery / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.write(time.Now(), 0)
			return
		case <-k.full:
			k.write(time.Now(), 0)
		case now := <-tick.C:
			k.write(now, keptEvery)
		}
	}
}

// write writes what is pending as one block when it is of that age (0: at once), and removes what is
// old.
func (k *kept) write(now time.Time, age time.Duration) {
	k.disk.Lock()
	defer k.disk.Unlock()
	events := k.begin(now, age)
	var h blockHeader
	var body []byte
	var err error
	if len(events) > 0 {
		h, body, err = pack(events)
	}
	k.prune(now, int64(len(body)))
	if len(events) == 0 {
		return
	}
	if err == nil {
		err = k.segment(now).write(now, h, body)
	}
	if err != nil {
		k.drop()
	}
	k.mu.Lock()
	k.writing = nil
	k.mu.Unlock()
	k.log.Note(err)
}

// begin takes what is to be written now.
func (k *kept) begin(now time.Time, age time.Duration) []event.Event {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.pending) > 0 && (age == 0 || now.Sub(k.since) >= age) {
		k.writing, k.pending, k.bytes = k.pending, nil, 0
	}
	return k.writing
}

// segment is the file that is written now. disk is held.
func (k *kept) segment(now time.Time) *segment {
	if n := len(k.files); n > 0 {
		if s := k.files[n-1]; s.size < k.most/keptSegments && now.Sub(s.began) < keepFor/keptSegments {
			return s
		}
	}
	s := &segment{path: fmt.Sprintf("%s.sent.%d.%d", k.path, k.id.epoch, k.next), began: now}
	k.next++
	k.files = append(k.files, s)
	return s
}

// prune removes the oldest files while they are too old, or there is no room for so
// many bytes more. disk is held.
func (k *kept) prune(now time.Time, more int64) {
	for len(k.files) > 0 {
		all := more
		for _, s := range k.files {
			all += s.size
		}
		if all <= k.most && now.Sub(k.files[0].last) < keepFor {
			return
		}
		k.remove()
	}
}

// remove removes the oldest file. disk is held.
func (k *kept) remove() {
	_ = os.Remove(k.files[0].path) // what is left is removed at the next start
	k.files = k.files[1:]
}

// drop removes all files. disk is held.
func (k *kept) drop() {
	for len(k.files) > 0 {
		k.remove()
	}
}

// release removes all files, since the disk is full, and reports whether there was one.
// Then nothing is kept for a while.
func (k *kept) release() bool {
	k.mu.Lock()
	k.paused = time.Now().Add(keptPause)
	k.mu.Unlock()
	k.disk.Lock()
	defer k.disk.Unlock()
	n := len(k.files)
	k.drop()
	return n > 0
}

// find returns messages of a lane from one sequence to another that are kept, in order,
// at most so many.
func (k *kept) find(l lane, from, to uint64, most int) (out []event.Event, err error) {
	k.disk.Lock()
	defer k.disk.Unlock()
	found := map[uint64]event.Event{}
	var errs []error
	for _, s := range k.files {
		for _, b := range s.blocks {
			if len(found) >= most || b.header.Lowest[l] == 0 || b.header.Lowest[l] > to || b.header.Upper[l] < from {
				continue
			}
			errs = append(errs, s.read(b, func(e *keptEvent) {
				if e.Lane == l && e.Seq >= from && e.Seq <= to {
					found[e.Seq] = k.event(e)
				}
			}))
		}
	}
	k.mu.Lock()
	for _, list := range [][]event.Event{k.writing, k.pending} {
		for _, e := range list {
			if got, _ := laneOf(e.Kind); got == l && e.Sequence >= from && e.Sequence <= to {
				found[e.Sequence] = e
			}
		}
	}
	k.mu.Unlock()
	for _, e := range found {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b event.Event) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return out[:min(most, len(out))], errors.Join(errs...)
}

// event is a message as it was sent, but for ce-low.
func (k *kept) event(e *keptEvent) event.Event {
	out := event.Event{Kind: kinds[e.Lane], Severity: e.Severity, Entity: e.Entity, Type: e.Type, Time: fromNano(e.Time), Data: e.Data,
		TraceParent: e.Parent, TraceState: e.State}
	k.id.mark(&out, e.Seq)
	return out
}

// Kept returns messages that were acknowledged, of kind k and this epoch, from one
// sequence to another, as they were sent: those that are still kept, in order, at most
// so many. ce-low is left to who sends them. What can be read is returned
// with the error.
func (o *Outbox) Kept(k event.Kind, from, to uint64, most int) ([]event.Event, error) {
	l, ok := laneOf(k)
	if !ok {
		return nil, nil
	}
	out, err := o.queue.kept.find(l, from, to, most)
	return out, dbError(err, "read what was acknowledged")
}
