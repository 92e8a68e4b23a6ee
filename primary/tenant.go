package primary

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
	"midplane/telemetry"
)

// streams of a tenant, in the order they are shown.
var streams = [...]string{event.StreamEvents, event.StreamState, event.StreamMetrics, event.StreamDead}

// tenant is one customer being read, over a connection of its own: which
// tenant a message is of follows from where it came from, never from what it says.
type tenant struct {
	p       *Primary
	id      event.Tenant
	tel     telemetry.Telemetry
	readers []*reader
	cancel  context.CancelFunc
	done    chan struct{}

	mu      sync.Mutex
	spec    api.CoreTenant
	problem string

	committed chan struct{} // poked after commits and when reading begins
}

func newTenant(p *Primary, spec api.CoreTenant) *tenant {
	t := &tenant{
		p: p, id: spec.Tenant, spec: spec, tel: p.tel.With("tenant", string(spec.Tenant)),
		done: make(chan struct{}), committed: make(chan struct{}, 1),
	}
	for _, s := range streams {
		t.readers = append(t.readers, newReader(t, s))
	}
	return t
}

// update takes over what the control plane says now. A reader whose stream was
// made anew begins again.
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
	wait := newBackoff(500*time.Millisecond, 10*time.Second)
	for ctx.Err() == nil {
		began := time.Now()
		err := t.session(ctx)
		if ctx.Err() != nil {
			return
		}
		t.setProblem(err)
		t.tel.Log.Warn("reading interrupted", "error", err)
		if time.Since(began) > time.Minute {
			wait.reset()
		}
		_ = sleep(ctx, wait.next()) // ctx is looked at above
	}
}

// lostAfter is how long a connection may be away before it is built anew, with
// new credentials: the old ones may be what keeps it away.
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
	for sleep(ctx, every) == nil {
		if nc.IsConnected() {
			away = 0
		} else if away += every; away >= lostAfter || nc.IsClosed() {
			return fault.Wrap(fault.Unavailable, errLost, "read the tenant")
		}
	}
	return nil
}

// The control plane hears of a cursor at most and at least this often.
const (
	reportAtMost  = 5 * time.Second
	reportAtLeast = 30 * time.Second
)

// report tells the control plane how far this primary is: at once when all
// streams are being read, then after commits.
func (t *tenant) report(ctx context.Context) error {
	last, wasReading, dirty := time.Time{}, false, false
	said := once{log: t.tel.Log, fails: "cursors not reported, trying on", works: "cursors reported"}
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
		err := t.p.core.Do(ask, api.CoreCursor, r, nil)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if said.note(err); err != nil {
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

// poke wakes whoever waits on c, without waiting for it.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
