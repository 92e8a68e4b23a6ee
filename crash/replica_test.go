package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/platform/node/blocks"
	"midplane/telemetry"
)

const (
	replicaEvents = 8000
	replicaStates = 1500
	stateEntities = 150
	// found and healed bound how long after a node is back, or after the damage, it is
	// known and mended. 60 seconds are promised for the first; the rest is room for a
	// busy machine. What is measured is printed.
	found  = 90 * time.Second
	healed = 5 * time.Minute
)

// replicaWorld is a deployment whose replicas are damaged.
type replicaWorld struct {
	*testcluster.Deployment
	t     *testing.T
	creds string
	key   string          // of the tenant's account
	ids   map[string]bool // of all acknowledged events
}

func newReplicaWorld(ctx context.Context, t *testing.T) *replicaWorld {
	t.Helper()
	d := deploy(ctx, t)
	w := &replicaWorld{Deployment: d, t: t, creds: filepath.Join(d.Dir, "feed.creds"), ids: map[string]bool{}}
	file := filepath.Join(d.Dir, tenant+".yaml")
	if err := os.WriteFile(file, []byte("apiVersion: midplane/v1\nkind: Tenant\nid: "+tenant+"\nname: Acme\nquota: {messageRate: 20000, byteRate: 100MiB, storage: 1GiB}\nsites: [{id: syd, name: Sydney, pollers: [{id: syd-01}]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"apply", "-f", file}, {"user", "create", "--tenant", tenant, "--role", "producer", "feed", "--out", w.creds}} {
		if _, err := d.Run(ctx, args...); err != nil {
			t.Fatal(err)
		}
	}
	var rows []api.Tenant
	if err := d.Get(ctx, &rows, "tenants"); err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	w.key = rows[0].Account // nodes try their doors in another one
	return w
}

// publish fills EVENTS with several blocks, and STATE with states that replace
// each other.
func (w *replicaWorld) publish(ctx context.Context) {
	w.t.Helper()
	nc, err := bus.Connect(bus.Config{Servers: w.Servers, User: "feed", Name: "feed", CredsFile: w.creds, CAFile: w.CA(), MaxWait: time.Minute}, telemetry.Nop())
	if err != nil {
		w.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		w.t.Fatal(err)
	}
	text := strings.Repeat("x", 900)
	var mu sync.Mutex
	var wg sync.WaitGroup
	each := func(n int, one func(n int) *nats.Msg, acked func(m *nats.Msg)) {
		for lane := range 60 {
			wg.Go(func() {
				for i := lane; i < n; i += 60 {
					m := one(i)
					_, err := testcluster.Publish(ctx, js, m)
					mu.Lock()
					if err != nil && !w.t.Failed() {
						w.t.Errorf("publish: %v", err)
					}
					acked(m)
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		wg.Wait()
	}
	each(replicaEvents, func(n int) *nats.Msg {
		return &nats.Msg{Subject: fmt.Sprintf("in.feed.event.info.r%d.%s", n%20, event.TypeReachabilityChanged), Header: nats.Header{event.HeaderMsgID: {fmt.Sprintf("feed/e/%d", n)}},
			Data: fmt.Appendf(nil, `{"device":"r%d","from":"up","to":"down","message":"%d %s"}`, n%20, n, text)}
	}, func(m *nats.Msg) { w.ids[m.Header.Get(event.HeaderMsgID)] = true })
	each(replicaStates, func(n int) *nats.Msg {
		return &nats.Msg{Subject: fmt.Sprintf("in.feed.state.r%d.%s", n%stateEntities, event.TypeReachability), Header: nats.Header{event.HeaderMsgID: {fmt.Sprintf("feed/s/%d", n)}},
			Data: fmt.Appendf(nil, `{"device":"r%d","status":"up","method":"ping","message":"%d %s"}`, n%stateEntities, n, text)}
	}, func(m *nats.Msg) {})
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// folder is a node's folder of a stream of the tenant.
func (w *replicaWorld) replica(node, stream string) blocks.Stream {
	w.t.Helper()
	all, err := blocks.Find(filepath.Join(w.Dir, "data-"+node, "jetstream", "jetstream"), "")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == stream && s.Account == w.key {
			return s
		}
	}
	w.t.Fatalf("node %s has no %s among %d", node, stream, len(all))
	return blocks.Stream{}
}

func (w *replicaWorld) blocks(node, stream string) []string {
	w.t.Helper()
	out, err := filepath.Glob(filepath.Join(w.replica(node, stream).Dir, "msgs", "*.blk"))
	if err != nil || len(out) == 0 {
		w.t.Fatalf("%s on %s: %v %v", stream, node, out, err)
	}
	slices.SortFunc(out, func(a, b string) int { return len(a) - len(b) })
	return out
}

// flip flips one bit in the middle of a file.
func (w *replicaWorld) flip(path string) {
	w.t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		w.t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, info.Size()/2); err != nil {
		w.t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b, info.Size()/2); err != nil {
		w.t.Fatal(err)
	}
}

// problems returns the codes about replicas that status shows.
func (w *replicaWorld) problems(ctx context.Context) (out []string, err error) {
	status, err := testcluster.StatusOf(ctx, w.Machine)
	if err != nil {
		return nil, err
	}
	for _, p := range status.Problems {
		if strings.HasPrefix(string(p.Code), "replica-") {
			out = append(out, fmt.Sprintf("%s %s %s", p.Code, p.Tenant, p.Subject))
		}
	}
	return out, nil
}

// shown waits until the status shows a problem with a replica.
func (w *replicaWorld) shown(ctx context.Context, stream, node string) {
	w.t.Helper()
	took := testwait.Within(w.t, found, "the status shows it", func() error {
		list, err := w.problems(ctx)
		if err == nil && !slices.ContainsFunc(list, func(p string) bool { return strings.HasSuffix(p, " "+tenant+" "+stream+"/"+node) }) {
			err = fmt.Errorf("problems: %v", list)
		}
		return err
	})
	w.t.Logf("found %s after", took.Round(100*time.Millisecond))
}

// whole waits until all replicas are compared and equal, and status is clean of
// them, and then reads every node's files.
func (w *replicaWorld) whole(ctx context.Context, since time.Time) {
	w.t.Helper()
	took := testwait.Within(w.t, healed, "all replicas are equal", func() error {
		var rows []api.Replica
		if err := w.Get(ctx, &rows, "replicas", "--tenant", tenant); err != nil {
			return err
		}
		if len(rows) != 12 {
			return fmt.Errorf("%d replicas", len(rows))
		}
		for _, r := range rows {
			if r.State != api.ReplicaCurrent || r.ComparedAt == nil || r.ComparedAt.Before(since) || r.Stream == event.StreamEvents && r.Messages < replicaEvents {
				return fmt.Errorf("%+v", r)
			}
		}
		list, err := w.problems(ctx)
		if err == nil && len(list) > 0 {
			err = fmt.Errorf("problems: %v", list)
		}
		return err
	})
	w.t.Logf("healed %s after", took.Round(100*time.Millisecond))
	testwait.Until(w.t, "every node's files hold everything", func() error {
		for _, n := range w.Nodes {
			if err := w.holds(n); err != nil {
				return err
			}
		}
		return nil
	})
}

// holds reads a node's files: every acknowledged event, and one state of every
// entity, and no damage.
func (w *replicaWorld) holds(node string) error {
	missing := maps.Clone(w.ids)
	r, err := blocks.Read(w.replica(node, event.StreamEvents), func(m blocks.Message) {
		for line := range strings.SplitSeq(string(m.Header), "\r\n") {
			if id, ok := strings.CutPrefix(line, event.HeaderMsgID+": "); ok {
				delete(missing, id)
			}
		}
	})
	if err != nil || !r.Whole() || len(missing) > 0 {
		return fmt.Errorf("%s: %d of %d events are missing, damage %v, %w", node, len(missing), len(w.ids), r.Damage, err)
	}
	states, err := blocks.Read(w.replica(node, event.StreamState), nil)
	if err != nil || !states.Whole() || states.Messages < stateEntities {
		return fmt.Errorf("%s: %d of %d states, damage %v, %w", node, states.Messages, stateEntities, states.Damage, err)
	}
	return nil
}

// TestDamagedReplicasAreFoundAndRepaired damages one replica in several ways, of a
// node that is down and of one that runs: each is found, shown and taken over again
// from the others, without anybody's help.
func TestDamagedReplicasAreFoundAndRepaired(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	w := newReplicaWorld(ctx, t)
	w.publish(ctx)
	w.whole(ctx, time.Time{})
	if n := len(w.blocks("n1", event.StreamEvents)); n < 2 {
		t.Fatalf("the test needs several blocks, not %d", n)
	}
	down := func(node string, damage func()) time.Time {
		t.Helper()
		w.Kill(node)
		damage()
		since := time.Now()
		if _, err := w.StartNode(node); err != nil {
			t.Fatal(err)
		}
		return since
	}
	for _, x := range []struct {
		what, node, stream string
		damage             func(node string)
		running            bool
	}{
		{what: "one bit flipped", node: "n1", stream: event.StreamEvents, damage: func(n string) { w.flip(w.blocks(n, event.StreamEvents)[0]) }},
		{what: "one bit flipped in STATE", node: "n2", stream: event.StreamState, damage: func(n string) { w.flip(w.blocks(n, event.StreamState)[0]) }},
		{what: "a block truncated", node: "n3", stream: event.StreamEvents, damage: func(n string) {
			path := w.blocks(n, event.StreamEvents)[0]
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, info.Size()/2); err != nil {
				t.Fatal(err)
			}
		}},
		{what: "the index deleted", node: "n1", damage: func(n string) {
			if err := w.replica(n, event.StreamEvents).Forget(); err != nil {
				t.Fatal(err)
			}
		}},
		{what: "one bit flipped while the node runs", node: "n2", stream: event.StreamEvents, running: true,
			damage: func(n string) { w.flip(w.blocks(n, event.StreamEvents)[0]) }},
	} {
		t.Run(x.what, func(t *testing.T) {
			w.t = t
			since := time.Now()
			if x.running {
				x.damage(x.node)
			} else {
				since = down(x.node, func() { x.damage(x.node) })
			}
			if x.stream != "" {
				w.shown(ctx, x.stream, x.node)
			}
			w.whole(ctx, since)
			if t.Failed() {
				t.Logf("%s:\n%s", x.node, w.Log(x.node))
			}
		})
	}
	w.t = t
	w.alarmed(ctx)
}

// alarmed checks that the tenant has alarms about it in its events.
func (w *replicaWorld) alarmed(ctx context.Context) {
	w.t.Helper()
	testwait.Until(w.t, "the alarms are events", func() error {
		var rows []api.Event
		if err := w.Get(ctx, &rows, "events", "--tenant", tenant, "--limit", "0", "--type", string(event.TypeAlarm)); err != nil {
			return err
		}
		seen := map[string]int{}
		for _, r := range rows {
			var a event.Alarm
			if err := json.Unmarshal(r.Data, &a); err == nil {
				seen[a.Alarm]++
			}
		}
		if seen["replica-diverged"] < 4 || seen["replica-repaired"] < 4 {
			return fmt.Errorf("alarms: %v", seen)
		}
		return nil
	})
}
