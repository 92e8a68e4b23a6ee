package consume

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/internal/wait"
	"midplane/telemetry"
)

// tenant is one customer being read, over a connection of its own: which
// tenant a message is of follows from where it came from, never from what it says.
type tenant struct {
	*shared
	id      event.Tenant
	tel     telemetry.Telemetry
	readers []*reader
	cancel  context.CancelFunc
	done    chan struct{}

	mu      sync.Mutex
	spec    api.CoreTenant
	problem string

	committed chan struct{} // nudged after commits and when reading begins
}

func newTenant(common *shared, tel telemetry.Telemetry, spec api.CoreTenant) *tenant {
	t := &tenant{
		shared: common, id: spec.Tenant, spec: spec, tel: tel.With("tenant", string(spec.Tenant)),
		done: make(chan struct{}), committed: make(chan struct{}, 1),
	}
	for _, s := range event.Streams {
		t.readers = append(t.readers, newReader(t, s))
	}
	return t
}

// update takes over what the control plane says now. A reader whose stream was
// made again begins at its start.
func (t *tenant) update(spec api.CoreTenant) {
	t.mu.Lock()
	same := maps.Equal(t.spec.Incarnations, spec.Incarnations)
	t.spec = spec
	t.mu.Unlock()
	if !same {
		for _, r := range t.readers {
			r.reconsider()
		}
	}
}

func (t *tenant) incarnation(stream string) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.spec.Incarnations[stream]
}

// line returns how an event of one of the tenant's own types reads; "" when
// the type has no rendering.
func (t *tenant) line(typ string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.spec.Lines[typ]
}

func (t *tenant) setProblem(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problem = ""
	if err != nil {
		t.problem = describe(err)
	}
}

// describe is an error for a status: what happened and what to do.
func describe(err error) string {
	if hint := fault.HintOf(err); hint != "" {
		return err.Error() + " (" + hint + ")"
	}
	return err.Error()
}

// run reads until ctx ends.
func (t *tenant) run(ctx context.Context) {
	defer close(t.done)
	pause := wait.NewGrowing(500*time.Millisecond, 10*time.Second)
	for ctx.Err() == nil {
		began := time.Now()
		err := t.session(ctx)
		if ctx.Err() != nil {
			return
		}
		t.setProblem(err)
		t.tel.Log.Warn("reading was interrupted", "error", err)
		if time.Since(began) > time.Minute {
			pause.Reset()
		}
		_ = pause.For(ctx) // ctx is looked at above
	}
}

// lostAfter is how long a connection may be away before another one is opened
// with new credentials: the old ones may be what keeps it away.
const lostAfter = 30 * time.Second

var errLost = errors.New("the connection stayed away")

func (t *tenant) session(ctx context.Context) error {
	l, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { l.nc.Close() }()
	t.setProblem(nil)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.report(ctx) })
	g.Go(func() error {
		for ctx.Err() == nil {
			next, err := t.stint(ctx, l)
			if err != nil || next == nil {
				return err
			}
			l.nc.Close()
			l = *next
		}
		return nil
	})
	return g.Wait()
}

func watchConnection(ctx context.Context, nc *nats.Conn) error {
	away := time.Duration(0)
	const every = time.Second
	for wait.For(ctx, every) == nil {
		if nc.IsConnected() {
			away = 0
		} else if away += every; away >= lostAfter || nc.IsClosed() {
			return fault.Wrap(fault.Unavailable, errLost, "read the tenant")
		}
	}
	return nil
}

// Cursors are reported to the control plane at most and at least this often.
const (
	reportAtMost  = 5 * time.Second
	reportAtLeast = 30 * time.Second
)

// report reports to the control plane how far this primary is: at once when all
// streams are being read, then after commits.
func (t *tenant) report(ctx context.Context) error {
	last, wasReading, dirty := time.Time{}, false, false
	outcome := once.Log{To: t.tel.Log, Fails: "cursors not reported, trying again", Works: "cursors reported"}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.committed:
			dirty = true
		case <-tick.C:
		}
		r := t.cursors()
		since := time.Since(last)
		if !(r.Reading && !wasReading || dirty && since >= reportAtMost || since >= reportAtLeast) {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := t.core.Do(ask, api.CoreCursor, r, nil)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if outcome.Note(err); err != nil {
			continue // the next tick tries again
		}
		last, wasReading, dirty = time.Now(), r.Reading, false
	}
}

func (t *tenant) cursors() api.CursorReport {
	out := api.CursorReport{Tenant: t.id, Reading: true, Cursors: []api.Cursor{}}
	for _, r := range t.readers {
		st := r.status()
		if !st.reading {
			out.Reading = false
		}
		if st.known {
			out.Cursors = append(out.Cursors, api.Cursor{Stream: r.stream, Incarnation: st.cursor.Incarnation, Seq: st.cursor.Seq})
		}
	}
	return out
}

// status is what is known of reading this tenant.
func (t *tenant) status() api.TenantReport {
	t.mu.Lock()
	out := api.TenantReport{Tenant: string(t.id), Problem: t.problem, Reading: true, Streams: []api.StreamReport{}}
	t.mu.Unlock()
	for _, r := range t.readers {
		st := r.status()
		out.Reading = out.Reading && st.reading
		if out.Problem == "" {
			out.Problem = st.problem
		}
		row := api.StreamReport{Stream: r.stream, Cursor: st.cursor.Seq, Last: max(st.last, st.cursor.Seq), Lag: lagOf(st), Waiting: st.waiting}
		if !st.folded.IsZero() {
			row.Folded = &st.folded
		}
		out.Streams = append(out.Streams, row)
	}
	return out
}
