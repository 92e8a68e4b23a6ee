package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"midplane/api"
	"midplane/console/access"
	"midplane/fault"
)

// maxStreams is how many event streams may be open at once. Each is a long
// poll at a primary, which answers api.MaxRequests at a time to everybody.
const maxStreams = 64

// maxOfOne is how many of them one identity may have open, so that none can
// take them all.
const maxOfOne = 16

// streamLimiter bounds how many event streams are open.
type streamLimiter struct {
	most, each int // of all, and of one identity

	mu   sync.Mutex
	open int
	by   map[string]int
}

// take counts a stream that is about to open, or refuses it.
func (s *streamLimiter) take(who string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.open >= s.most:
		return nil, fault.WithHint(fault.New(fault.Exhausted, "%d event streams are open already", s.most), "close a page of the console")
	case s.by[who] >= s.each:
		return nil, fault.WithHint(fault.New(fault.Exhausted, "you have %d event streams open already", s.each), "close a page of the console")
	}
	s.open++
	s.by[who]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		if s.by[who]--; s.by[who] == 0 {
			delete(s.by, who)
		}
	}, nil
}

// live answers the event stream.
type live struct {
	src       Source
	gate      *gate
	access    *access.Keeper
	positions positions
	limiter   streamLimiter
	pace      pace
}

// pace is how fast an event stream breathes; tests breathe faster.
type pace struct {
	beat     time.Duration // between two signs of life
	retryMin time.Duration // after the first failure of the source
	retryMax time.Duration
}

// writeWithin is how long a reader may take for one piece of a stream.
const writeWithin = 10 * time.Second

// serveStream answers GET /api/v1/events/stream: Server-Sent Events.
//
//	event: event    id is its position, data is one row of "get events"
//	event: beat     a sign of life: the time, and whether the source is failing
//	event: problem  the source does not answer (data: code, message, hint)
//
// It begins after ?after=, or after Last-Event-ID when a browser comes back,
// or now. A source that does not answer is asked again and again; the events of
// that time are delivered once it does.
func (l *live) serveStream(w http.ResponseWriter, r *http.Request) {
	p, err := readParams(r.URL, time.Now(), "tenant", "site", "severity", "type", "entity", "after")
	if id := r.Header.Get("Last-Event-ID"); err == nil && id != "" {
		err = fault.Wrap(fault.Invalid, p.set("after", id, time.Time{}), "Last-Event-ID")
	}
	if err == nil {
		err = l.gate.confine(r, &p.tenant)
	}
	if err == nil {
		p.after, err = l.positions.real(r.Context(), p.after)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	who := whoAsks(r.Context())
	leave, err := l.limiter.take(who.String())
	if err != nil {
		writeError(w, err)
		return
	}
	defer leave()
	// Before the first byte, so that a reader misses nothing from the moment the
	// stream opens.
	if p.after == "" && r.Method != http.MethodHead {
		if p.after, err = l.end(r.Context()); err != nil {
			writeError(w, err)
			return
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // a proxy in front must not hold events back
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	s := stream{positions: l.positions, w: w, out: http.NewResponseController(w)}
	if s.beat(false) == nil {
		l.feed(r.Context(), &s, p)
	}
}

// feed passes on what follow finds until the reader or the console is gone.
func (l *live) feed(ctx context.Context, s *stream, p params) {
	ctx, cancel := context.WithCancel(ctx)
	found := make(chan found)
	stopped := make(chan struct{})
	go func() { defer close(stopped); l.follow(ctx, p, found) }()
	defer func() { cancel(); <-stopped }()

	who := whoAsks(ctx)
	beat := time.NewTicker(l.pace.beat)
	defer beat.Stop()
	failing := false
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-stopped:
			return
		case <-beat.C:
			if !l.access.Alive(who) {
				return // logged out, ended, expired, revoked
			}
			err = s.beat(failing)
		case f := <-found:
			if !l.access.Alive(who) {
				return
			}
			failing = f.err != nil
			err = s.write(ctx, f)
		}
		if err != nil {
			return // the reader is gone
		}
	}
}

// found is what one question brought.
type found struct {
	events []api.Event
	err    error
}

// follow asks until ctx ends. It ends by itself only when asking again can
// never succeed.
func (l *live) follow(ctx context.Context, p params, out chan<- found) {
	wait, failed := l.pace.retryMin, false
	for ctx.Err() == nil {
		var f found
		f.events, p.after, f.err = l.poll(ctx, p)
		if ctx.Err() != nil {
			return
		}
		if f.err != nil || failed || len(f.events) > 0 {
			select {
			case out <- f:
			case <-ctx.Done():
				return
			}
		}
		if failed = f.err != nil; !failed {
			wait = l.pace.retryMin
			continue
		}
		if !fault.Retryable(f.err) {
			return
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, l.pace.retryMax)
	}
}

// end returns the position of the newest event. Asking for it once, and going
// on from there, leaves no gap between two questions, as "now" twice would.
func (l *live) end(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var last api.Page[api.Event]
	if err := l.src.Query(ctx, api.EventList, api.EventRequest{Newest: true, Limit: 1}, &last); err != nil {
		return "", err
	}
	if n := len(last.Items); n > 0 {
		return position(last.Items[n-1]), nil
	}
	return "", nil // an empty log: everything to come is new
}

// poll asks once and returns what came and where to go on.
func (l *live) poll(ctx context.Context, p params) ([]api.Event, string, error) {
	ctx, cancel := context.WithTimeout(ctx, api.FollowWait+askWithin)
	defer cancel()
	var got api.Page[api.Event]
	if err := l.src.Query(ctx, api.EventFollow, p.events(0, p.after), &got); err != nil {
		return nil, p.after, err
	}
	switch n := len(got.Items); {
	case got.Next != "":
		return got.Items, got.Next, nil
	case n > 0:
		return got.Items, position(got.Items[n-1]), nil
	}
	return nil, p.after, nil
}

func position(e api.Event) string { return strconv.FormatUint(e.Position, 10) }

// stream writes Server-Sent Events.
type stream struct {
	positions positions
	w         http.ResponseWriter
	out       *http.ResponseController
}

func (s *stream) write(ctx context.Context, f found) error {
	if f.err != nil {
		return s.send("problem", "", problemOf(f.err))
	}
	for i := range f.events {
		if !mine(ctx, f.events[i].Tenant) {
			continue
		}
		if err := s.positions.hide(ctx, &f.events[i]); err != nil {
			return err
		}
		neverNull(&f.events[i])
		if err := s.send("event", position(f.events[i]), f.events[i]); err != nil {
			return err
		}
	}
	return nil
}

// Beat is the data of a sign of life.
type Beat struct {
	Time    time.Time `json:"time"`
	Failing bool      `json:"failing"` // the last question was not answered
}

func (s *stream) beat(failing bool) error {
	return s.send("beat", "", Beat{Time: time.Now().UTC(), Failing: failing})
}

// send writes one event. JSON has no line breaks of its own, so data is one line.
func (s *stream) send(name, id string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	// A reader that takes nothing any more must not keep its stream open for ever.
	if err := s.out.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.w, "%sevent: %s\ndata: %s\n\n", id, name, data); err != nil {
		return err
	}
	return s.out.Flush()
}
