package consume

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/internal/wait"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/streams"
	"midplane/telemetry"
)

const (
	// ahead is how many messages, and how many bytes of them, are asked for
	// before they are folded.
	ahead      = store.MaxBatch
	aheadBytes = 16 << 20
	// batchBytes ends a batch of large messages early.
	batchBytes = 8 << 20
	// quiet is how long a stream may be silent before its leader is asked whether it
	// really ended there: a consumer on a replica that is behind lives and has nothing.
	// While the stream stays silent the leader is asked at distances that grow to
	// quietMost.
	quiet     = 5 * time.Second
	quietMost = time.Minute
	// retryMost is the longest pause before a stream is tried again that could not be
	// read since a node was lost: it is read on soon after another one leads it.
	retryMost = time.Second
)

// reader reads one stream of a tenant in order from its cursor.
type reader struct {
	t      *tenant
	stream string
	tel    telemetry.Telemetry
	again  chan struct{} // nudged when the stream may have been made again

	mu     sync.Mutex
	st     readerStatus
	raised string // the finding that the last alarm was for
}

type readerStatus struct {
	known   bool // cursor is known
	reading bool
	problem string
	waiting *api.Waiting // not nil: it stands before a hole
	cursor  fold.Cursor
	last    uint64    // the newest sequence that is known
	folded  time.Time // when the last batch was committed
}

func newReader(t *tenant, stream string) *reader {
	return &reader{t: t, stream: stream, tel: t.tel.With("stream", stream), again: make(chan struct{}, 1)}
}

func (r *reader) status() readerStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.st
}

func (r *reader) set(f func(*readerStatus)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.st)
}

func (r *reader) reconsider() { wait.Nudge(r.again) }

var errAgain = errors.New("begin again")

// readWell is how long a stream must have been read for its next interruption to be
// another one.
const readWell = time.Minute

// run reads until ctx ends. After any error it begins again at the cursor.
func (r *reader) run(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) error {
	pause := wait.NewGrowing(250*time.Millisecond, 10*time.Second)
	interrupted := once.Log{To: r.tel.Log, Fails: "reading a stream was interrupted"}
	for ctx.Err() == nil {
		began := time.Now()
		err := r.read(ctx, nc, js)
		r.set(func(st *readerStatus) { st.reading = false })
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errAgain) {
			continue
		}
		next := pause.Next()
		var hole *waits
		switch {
		case errors.As(err, &hole):
			r.wait(hole)
			next = holeEvery
		default:
			r.set(func(st *readerStatus) { st.problem = r.stream + ": " + describe(err) })
			interrupted.Note(err)
		}
		if time.Since(began) > readWell {
			pause.Reset()
			interrupted = once.Log{To: r.tel.Log, Fails: interrupted.Fails} // the next one is another
		}
		if fault.Is(err, fault.Unavailable) {
			next = min(next, retryMost)
		}
		select {
		case <-ctx.Done():
		case <-r.again:
		case <-time.After(next):
		}
	}
	return nil
}

// read begins at the cursor and folds what comes, until ctx or the connection
// ends or the stream is not what it should be.
func (r *reader) read(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) error {
	incarnation := r.t.incarnation(r.stream)
	if incarnation == 0 {
		return fault.New(fault.Unavailable, "the control plane has not made it yet")
	}
	c, err := r.begin(ctx, nc, js, incarnation)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := r.open(ctx, js, c.Seq+1)
	if err != nil {
		return err
	}
	defer in.close()
	r.set(func(st *readerStatus) { st.reading, st.problem = true, "" })
	wait.Nudge(r.t.committed)
	asked := 0 // of a silent stream, in a row
	idle := time.NewTimer(r.patience(asked))
	defer idle.Stop()
	b := batch{r: r, nc: nc, incarnation: incarnation, node: in.node, cursor: c.Seq}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.again:
			if r.t.incarnation(r.stream) != incarnation {
				return errAgain
			}
		case err := <-in.failed:
			return fault.Wrap(fault.Unavailable, err, "read")
		case <-idle.C:
			if err := r.compare(ctx, nc, b.cursor); err != nil {
				return err
			}
			asked++
			idle.Reset(r.patience(asked))
		case m := <-in.msgs:
			if err := b.take(ctx, m, in.msgs); err != nil {
				return err
			}
			asked = 0
			idle.Reset(r.patience(asked))
		}
	}
}

// patience is how long the stream may be silent before its leader is asked, after
// it was asked before and had nothing new.
func (r *reader) patience(asked int) time.Duration {
	if lagOf(r.status()) > 0 {
		return quiet
	}
	return min(quiet*time.Duration(1+asked), quietMost)
}

// delivery is a message and its place.
type delivery struct {
	jetstream.Msg
	at *jetstream.MsgMetadata
}

// source is what a consumer delivers.
type source struct {
	msgs   <-chan delivery
	failed <-chan error
	node   string // where the consumer is; "" when not known
	close  func()
}

// open makes a consumer and pumps what it delivers into a channel, until ctx ends or
// the consumer fails.
func (r *reader) open(ctx context.Context, js jetstream.JetStream, from uint64) (source, error) {
	in, err := streams.OpenReader(ctx, js, streams.ReadConfig{
		Stream: r.stream, From: from, Name: event.SystemPrefix + "primary-" + r.t.cfg.Name + "-", Ahead: ahead, AheadBytes: aheadBytes,
	})
	if err != nil {
		return source{}, fault.Wrap(fault.Unavailable, err, "read %s", r.stream)
	}
	msgs, failed := make(chan delivery, ahead), make(chan error, 1)
	go func() {
		for {
			m, at, err := in.Next(ctx)
			if err != nil {
				failed <- err
				return
			}
			select {
			case msgs <- delivery{m, at}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return source{msgs, failed, in.Node(), in.Close}, nil
}

// begin checks the stream against the cursor and returns where to read from.
func (r *reader) begin(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, incarnation uint64) (fold.Cursor, error) {
	cursors, err := r.t.store.Cursors(ctx, r.t.id)
	if err != nil {
		return fold.Cursor{}, err
	}
	have := cursors[r.stream]
	if incarnation < have.Incarnation {
		return have, fault.New(fault.Unavailable, "the control plane says incarnation %d, but %d was read: its answer is old", incarnation, have.Incarnation)
	}
	var e fold.Extent
	// A replica that has just become leader, or on which an empty stream was
	// looked at, may still be catching up: an end before the cursor counts only
	// when the leader still says so after seconds.
	for try := 0; ; try++ {
		if e, err = extent(ctx, nc, js, r.stream, incarnation); err != nil {
			return have, err
		}
		if have.Incarnation == incarnation && e.Last < have.Seq {
			// Its last messages may be gone: a consumer begins behind the last sequence.
			end, err := emptyLast(ctx, js, r.stream)
			if err != nil {
				return have, err
			}
			e.Last = max(e.Last, end)
		}
		if e.Last >= have.Seq || have.Incarnation != incarnation || try == 3 {
			break
		}
		if err := wait.For(ctx, time.Second); err != nil {
			return have, err
		}
	}
	from := uint64(1)
	if have.Incarnation == incarnation {
		from = have.Seq + 1
		if err := r.compareHistory(ctx, nc, have, &e); err != nil {
			return have, err
		}
	}
	if e.First > from && e.Parted == nil {
		if err := r.lost(ctx, incarnation, fold.Range{From: from, To: e.First - 1}, true); err != nil {
			return have, err
		}
	}
	c, found, ok, err := r.t.store.Begin(ctx, r.t.id, r.stream, e)
	if err != nil {
		return have, err
	}
	r.raise(ctx, found)
	r.set(func(st *readerStatus) { st.known, st.cursor, st.last = true, c, max(e.Last, c.Seq) })
	if !ok {
		return c, fault.WithHint(fault.New(fault.Conflict, "%s", found[0].Alarm.Message), "%s", found[0].Alarm.Hint)
	}
	return c, nil
}

// compare asks the leader of a silent stream where it ends. An end behind the
// cursor means that the consumer hangs, one before it that the stream is another:
// reading begins again.
func (r *reader) compare(ctx context.Context, nc *nats.Conn, cursor uint64) error {
	_, last, _, err := get(ctx, nc, r.stream, streams.Get{Last: ">"})
	switch {
	case errors.Is(err, streams.ErrNoMessage) || err == nil && last == cursor:
		return nil
	case err != nil:
		return err
	}
	r.set(func(st *readerStatus) { st.last = max(last, cursor) })
	if r.stream == event.StreamState && last < cursor {
		return nil // its newest message was purged with its entity
	}
	return fault.New(fault.Unavailable, "silent at %d, but it ends at %d", cursor, last)
}

// raise raises an alarm for each finding: in the log, as a metric, and at the
// control plane. A finding that comes at every try raises one alarm.
func (r *reader) raise(ctx context.Context, found []fold.Finding) {
	for _, f := range found {
		if f.ID == r.raised {
			continue
		}
		r.raised = f.ID
		r.tel.Log.Error("alarm: "+f.Alarm.Message, "alarm", f.Alarm.Alarm, "finding", f.ID, "hint", f.Alarm.Hint)
		r.t.metrics.alarm(ctx, r.t.id, f.Alarm.Alarm)
	}
	if len(found) > 0 {
		wait.Nudge(r.t.found)
	}
}
