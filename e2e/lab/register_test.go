package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/wait"
)

const (
	// changers change the same record, each through another node.
	changers = 3
	// change is the pause between two changes of one of them.
	change = 150 * time.Millisecond
	first  = "first"
)

// Register changes one record of the registry by compare-and-set, from three sides at
// once, and keeps the history: the spec of a tenant, whose name is another at every
// change. Changes must be linearizable. Readings are not checked while faults last: a
// node without a quorum answers from its copy, and says so in its log.
type Register struct {
	began   time.Time
	mu      sync.Mutex
	history []porcupine.Operation
	counts  map[outcome]int
}

// swap is a compare-and-set of one value by another, or a reading.
type swap struct {
	old, new string
	reads    bool
}

// outcome is what a change was answered with.
type outcome string

const (
	done     outcome = "done"
	conflict outcome = "conflict" // it changed nothing
	unknown  outcome = "unknown"  // it may have, or may yet
)

// oneValue is what a register does. A conflict proves nothing but that nothing was
// changed: the server also refuses what comes while another change is under way that is
// then not made. What has no answer takes effect at some time, if its old value is still
// there then, or never.
var oneValue = porcupine.Model{
	Init: func() any { return first },
	Step: func(state, input, output any) (bool, any) {
		s, now := input.(swap), state.(string)
		switch out := output.(type) {
		case outcome:
			switch {
			case out == conflict, out == unknown && now != s.old:
				return true, now
			default:
				return now == s.old, s.new
			}
		default:
			return now == output.(string), now
		}
	},
}

func (r *Register) Name() string { return register }

func (r *Register) Declare(*World) { r.counts = map[outcome]int{} }

// Before makes the record, whose tenant stays.
func (r *Register) Before(ctx context.Context, w *World) error {
	admin, end, err := connectAdmin(w.sys, 0)
	if err != nil {
		return err
	}
	defer end()
	if err := put(admin, first, 0); err != nil {
		return err
	}
	return w.sys.Await(ctx, func(ctx context.Context) error {
		rows, err := tenantsOf(ctx, w.sys)
		if err == nil && !slices.ContainsFunc(rows, func(t api.Tenant) bool { return t.ID == register && t.Ready }) {
			err = fmt.Errorf("%s is not ready", register)
		}
		return err
	})
}

func (r *Register) Run(ctx context.Context, w *World) error {
	r.began = time.Now()
	var wg sync.WaitGroup
	for i := range changers {
		admin, end, err := connectAdmin(w.sys, i)
		if err != nil {
			return err
		}
		defer end()
		wg.Go(func() { r.change(ctx, admin, i) })
	}
	wg.Wait()
	return nil
}

// change looks, and changes what it saw, until ctx ends.
func (r *Register) change(ctx context.Context, admin *api.Admin, client int) {
	for n := 1; ctx.Err() == nil; n++ {
		_ = wait.For(ctx, change) // the loop ends with it
		value, revision, err := read(ctx, admin)
		if err != nil {
			continue
		}
		op := swap{old: value, new: fmt.Sprintf("change %d of %d", n, client)}
		call := time.Since(r.began)
		err = put(admin, op.new, revision)
		out := done
		switch {
		case fault.Is(err, fault.Conflict):
			out = conflict
		case err != nil:
			out = unknown
		}
		r.note(client, op, out, call)
	}
}

func (r *Register) note(client int, op swap, out outcome, call time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[out]++
	o := porcupine.Operation{ClientId: client, Input: op, Output: out, Call: int64(call), Return: int64(time.Since(r.began))}
	if out == unknown {
		o.Return = math.MaxInt64
	}
	r.history = append(r.history, o)
}

// read returns the name and the revision of the spec.
func read(ctx context.Context, admin *api.Admin) (name string, revision uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var answer api.SpecAnswer
	err = admin.Do(ctx, api.TenantSpec, api.SpecRequest{Tenant: register}, &answer)
	var spec struct{ Name string }
	if err == nil {
		err = json.Unmarshal(answer.Spec, &spec)
	}
	return spec.Name, answer.Revision, err
}

func put(admin *api.Admin, name string, revision uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	spec := fmt.Appendf(nil, `{"apiVersion":"midplane/v1","kind":"Tenant","id":%q,"name":%q,"quota":{"storage":"64MiB"},"sites":[{"id":"syd","name":"Sydney"}]}`, register, name)
	return admin.Do(ctx, api.TenantPut, api.PutTenant{Spec: spec, Revision: revision}, nil)
}

func (r *Register) Judge(ctx context.Context, w *World) (p Part) {
	admin, end, err := connectAdmin(w.sys, 0)
	if err != nil {
		p.find("%v", err)
		return p
	}
	defer end()
	r.mu.Lock()
	defer r.mu.Unlock()
	call := time.Since(r.began)
	name, _, err := read(ctx, admin)
	if err != nil {
		p.find("%v", err)
		return p
	}
	r.history = append(r.history, porcupine.Operation{ClientId: changers, Input: swap{reads: true}, Output: name, Call: int64(call), Return: int64(time.Since(r.began))})
	p = linearizable(r.history)
	if r.counts[done] == 0 {
		p.find("nothing was ever changed")
	}
	p.Figures = fmt.Sprintf("%d changes, %d conflicts, %d without an answer; %s", r.counts[done], r.counts[conflict], r.counts[unknown], p.Figures)
	return p
}

// linearizable checks a history. What can stand at any place in it is left out, since
// each such change doubles the work: conflicts, and what had no answer and whose value no
// other change or reading ever saw.
func linearizable(history []porcupine.Operation) (p Part) {
	seen := map[string]bool{}
	for _, o := range history {
		seen[o.Input.(swap).old] = true
		if value, ok := o.Output.(string); ok {
			seen[value] = true
		}
	}
	var counts []porcupine.Operation
	for _, o := range history {
		if o.Output != any(conflict) && (o.Output != any(unknown) || seen[o.Input.(swap).new]) {
			counts = append(counts, o)
		}
	}
	p.Figures = "linearizable"
	if result := porcupine.CheckOperationsTimeout(oneValue, counts, time.Minute); result != porcupine.Ok {
		p.Figures = string(result)
		p.find("the history of %d changes is not linearizable: %s", len(history), result)
	}
	return p
}

// TestHistories: the checker takes what a register may do, and nothing else.
func TestHistories(t *testing.T) {
	op := func(call, ret int64, in swap, out any) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: ret}
	}
	const never = math.MaxInt64
	for name, x := range map[string]struct {
		history []porcupine.Operation
		fine    bool
	}{
		"one after the other":                {[]porcupine.Operation{op(1, 2, swap{old: first, new: "a"}, done), op(3, 4, swap{old: "a", new: "b"}, done), op(5, 6, swap{reads: true}, "b")}, true},
		"a conflict":                         {[]porcupine.Operation{op(1, 4, swap{old: first, new: "a"}, done), op(2, 3, swap{old: first, new: "b"}, conflict), op(5, 6, swap{reads: true}, "a")}, true},
		"no answer, and it took effect":      {[]porcupine.Operation{op(1, never, swap{old: first, new: "a"}, unknown), op(3, 4, swap{old: "a", new: "b"}, done)}, true},
		"no answer, and it took none":        {[]porcupine.Operation{op(1, never, swap{old: first, new: "a"}, unknown), op(3, 4, swap{old: first, new: "b"}, done), op(5, 6, swap{reads: true}, "b")}, true},
		"two changes of the same value":      {[]porcupine.Operation{op(1, 2, swap{old: first, new: "a"}, done), op(3, 4, swap{old: first, new: "b"}, done)}, false},
		"a change is lost":                   {[]porcupine.Operation{op(1, 2, swap{old: first, new: "a"}, done), op(3, 4, swap{reads: true}, first)}, false},
		"a conflict has changed something":   {[]porcupine.Operation{op(1, 4, swap{old: first, new: "a"}, done), op(2, 3, swap{old: first, new: "b"}, conflict), op(5, 6, swap{reads: true}, "b")}, false},
		"a change is undone":                 {[]porcupine.Operation{op(1, 2, swap{old: first, new: "a"}, done), op(3, 4, swap{old: "a", new: "b"}, done), op(5, 6, swap{reads: true}, "a")}, false},
		"both took effect, one had no reply": {[]porcupine.Operation{op(1, never, swap{old: first, new: "a"}, unknown), op(3, 4, swap{old: first, new: "b"}, done), op(5, 6, swap{reads: true}, "a")}, false},
	} {
		if p := linearizable(x.history); x.fine != (len(p.Findings) == 0) {
			t.Errorf("%s: fine must be %v: %v", name, x.fine, p.Findings)
		}
	}
}
