package lab

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/streams"
)

// settle is how long everything may take to be well again once all faults are over.
// What must lose need not be waited for.
func (row Row) settle() time.Duration {
	if row.Loses {
		return 20 * time.Second
	}
	return 2 * time.Minute
}

// Verdict is what a run came to.
type Verdict struct {
	Acknowledged int
	Refused      int           // broken messages, as they should be
	Stuck        int           // entities given up; see errStuck
	Gap          time.Duration // the longest time in which one producer had no acknowledgement
	Lost         int           // events that the streams may lack, and do
	Settled      time.Duration // until status said that all is well
	Beside       []string      // the figures of the workloads beside the set
	Until        string        // what was wrong last
	Findings     []string      // lost, doubled, out of order, unexpected, not well again
}

func (v *Verdict) find(format string, args ...any) {
	v.Findings = append(v.Findings, fmt.Sprintf(format, args...))
}

func (v Verdict) String() string {
	s := fmt.Sprintf("%d acknowledged, %d broken refused, longest gap %.1f s, well again after %.1f s", v.Acknowledged, v.Refused, v.Gap.Seconds(), v.Settled.Seconds())
	if v.Until != "" {
		s += fmt.Sprintf(" (last wrong: %.300s)", v.Until)
	}
	if v.Stuck > 0 {
		s += fmt.Sprintf("; %d ids in process for longer than %s", v.Stuck, stuckAfter)
	}
	if v.Lost > 0 {
		s += fmt.Sprintf("; the streams lack %d events", v.Lost)
	}
	for _, figures := range v.Beside {
		s += "; " + figures
	}
	if len(v.Findings) == 0 {
		return s + "; nothing lost, doubled or out of order"
	}
	return s + "; " + strings.Join(v.Findings, "; ")
}

// judge waits until the deployment is well and holds what is stored and what the
// primary has against what was acknowledged.
func (s *Set) judge(ctx context.Context, w *World, row Row) (v Verdict) {
	settle := row.settle()
	v.Refused, v.Stuck, v.Gap = len(s.refused), len(s.stuck), s.gap
	for _, n := range s.acked {
		v.Acknowledged += n
	}
	for _, id := range s.passed {
		v.find("%s is broken and was taken", id)
	}
	began := time.Now()
	settled, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	well := w.well
	if row.Back {
		well = w.saysBack
	}
	if row.Survives {
		well = func(ctx context.Context) error { return saysLost(ctx, w) }
	}
	if err := w.sys.Await(settled, func(ctx context.Context) error {
		err := well(ctx)
		if err != nil {
			v.Until = err.Error()
		}
		return err
	}); err != nil {
		v.find("not well again within %s: %v", settle, err)
	}
	v.Settled = time.Since(began)
	for _, f := range []func(context.Context, *World, *Verdict){s.judgeEvents, s.judgeStates, s.judgePrimary} {
		part, cancel := context.WithTimeout(ctx, settle)
		f(part, w, &v)
		cancel()
	}
	for _, b := range w.beside {
		part, cancel := context.WithTimeout(ctx, settle)
		began := time.Now()
		v.take(b.Name(), b.Judge(part, w), time.Since(began))
		cancel()
	}
	s.judgeReplicas(w, &v)
	return v
}

// well reports what status finds wrong.
func (w *World) well(ctx context.Context) error {
	if err := w.whole(ctx); err != nil {
		return err
	}
	out, err := w.sys.Run(ctx, "status", "--check")
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// saysBack reports an error unless every replica is current and status says that
// EVENTS was put back.
func (w *World) saysBack(ctx context.Context) error {
	if err := w.whole(ctx); err != nil {
		return err
	}
	out, err := w.sys.Run(ctx, "status")
	if err == nil && !strings.Contains(string(out), event.StreamEvents+" was put back to an older copy") {
		err = fmt.Errorf("status does not say so: %s", out)
	}
	return err
}

// parseID is the reverse of id.
func parseID(s string) (entity string, n int, ok bool) {
	part := strings.Split(s, "/")
	if len(part) != 3 || !strings.HasPrefix(part[0], "writer-") {
		return "", 0, false
	}
	n, err := strconv.Atoi(part[2])
	return part[1], n, err == nil
}

// sequence checks that the numbers of each entity come in order, and once; or, when
// they may come again, that each comes.
type sequence struct {
	seen map[string]map[int]bool // by entity; nil: in order and once
	last map[string]int
	gaps func(entity string, n int) bool // whether an event may be missing
	lost int                             // of those that may be missing
	bad  map[string]string               // by entity: the first thing that is wrong
}

// newSequence returns one for what a run may lack.
func newSequence(w *World) *sequence {
	return &sequence{last: map[string]int{}, bad: map[string]string{}, gaps: func(entity string, n int) bool { return w.back || w.left.lost(entity, n) }}
}

// step is from one event of an entity to the next: those between are states.
const step = 2

func (q *sequence) add(entity string, n int) {
	if q.seen != nil {
		if q.seen[entity] == nil {
			q.seen[entity] = map[int]bool{}
		}
		q.seen[entity][n] = true
		q.last[entity] = max(q.last[entity], n)
		return
	}
	want := q.last[entity] + step
	if q.last[entity] == 0 {
		want = 1
	}
	for ; want < n && q.gaps(entity, want); want += step {
		q.lost++
	}
	if n != want && q.bad[entity] == "" {
		q.bad[entity] = fmt.Sprintf("after number %d comes %d", q.last[entity], n)
	}
	q.last[entity] = n
}

// events holds a sequence of events against what was acknowledged: the odd numbers.
func (s *Set) events(w *World, q *sequence, where string, v *Verdict) {
	for entity, n := range s.acked {
		for i := 1; q.seen != nil && i <= n && q.bad[entity] == ""; i += step {
			if !q.seen[entity][i] && !w.left.lost(entity, i) {
				q.bad[entity] = fmt.Sprintf("number %d is missing", i)
			}
		}
		if what := q.bad[entity]; what != "" {
			v.find("%s: %s: %s", where, entity, what)
			continue
		}
		if want := n - 1 + n%2; q.last[entity] != want && want > 0 && !s.maybe(entity, q.last[entity]) {
			v.find("%s: %s: %d was acknowledged, the last is %d", where, entity, want, q.last[entity])
		}
	}
}

// read reads all that the leader of a stream has.
func (w *World) read(ctx context.Context, stream string, take func(jetstream.Msg) error) error {
	js, err := w.connect(inspector, 0)
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	return streams.ReadAll(ctx, js, streams.ReadConfig{Stream: stream}, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error { return take(m) })
}

// maybe reports whether a number is one that may or may not be stored.
func (s *Set) maybe(entity string, n int) bool { return n > 0 && s.stuck[entity] == n }

func (s *Set) judgeEvents(ctx context.Context, w *World, v *Verdict) {
	q := newSequence(w)
	err := w.read(ctx, event.StreamEvents, func(m jetstream.Msg) error {
		id := m.Headers().Get(event.HeaderMsgID)
		if entity, n, ok := parseID(id); ok {
			q.add(entity, n)
		} else if strings.HasSuffix(id, "/broken") {
			v.find("%s is broken and is stored", id)
		}
		return nil
	})
	if err != nil {
		v.find("%v", err)
		return
	}
	s.events(w, q, event.StreamEvents, v)
	v.Lost = q.lost
}

func (s *Set) judgeStates(ctx context.Context, w *World, v *Verdict) {
	last := map[string]int{}
	err := w.read(ctx, event.StreamState, func(m jetstream.Msg) error {
		if entity, n, ok := parseID(m.Headers().Get(event.HeaderMsgID)); ok {
			last[entity] = n
		}
		return nil
	})
	if err != nil {
		v.find("%v", err)
		return
	}
	for entity, n := range s.acked {
		if want := n - n%2; last[entity] != want && !s.maybe(entity, last[entity]) {
			v.find("%s: %s: %d was acknowledged, the last is %d", event.StreamState, entity, want, last[entity])
		}
	}
}

// judgePrimary waits until the primary has what the streams have.
func (s *Set) judgePrimary(ctx context.Context, w *World, v *Verdict) {
	var here Verdict
	if err := w.sys.Await(ctx, func(ctx context.Context) error {
		var now Verdict // what an earlier look found is kept when this one is broken off
		var rows []api.Event
		if err := w.sys.Get(ctx, &rows, "events", "--tenant", tenant, "--limit", "0"); err != nil {
			return err
		}
		q := newSequence(w)
		if w.back || w.left != nil { // events of producers without an outbox may be read twice
			q.seen = map[string]map[int]bool{}
		}
		for _, r := range rows {
			if entity, n, ok := parseID(r.ID); ok {
				q.add(entity, n)
			}
		}
		s.events(w, q, "primary, events", &now)
		var devices []api.Device
		if err := w.sys.Get(ctx, &devices, "devices", "--tenant", tenant); err != nil {
			return err
		}
		last := map[string]string{}
		for _, d := range devices {
			last[d.ID] = d.Message
		}
		for entity, n := range s.acked {
			if want := fmt.Sprintf("number %d", n-n%2); n > 1 && last[entity] != want && last[entity] != fmt.Sprintf("number %d", s.stuck[entity]) {
				now.find("primary, devices: %s: %q, not %q", entity, last[entity], want)
			}
		}
		if here = now; len(here.Findings) > 0 {
			return fmt.Errorf("%d findings", len(here.Findings))
		}
		return nil
	}); err != nil && len(here.Findings) == 0 {
		v.find("primary: %v", err)
	}
	v.Findings = append(v.Findings, here.Findings...)
}
