package testcluster_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/platform/deployment"
	"midplane/primary"
	"midplane/subject"
	"midplane/telemetry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// ownPrimary runs a primary with the database in dir until stop or the test's end.
func ownPrimary(t *testing.T, c *testcluster.Cluster, dir string) (prim *primary.Primary, stop func()) {
	t.Helper()
	prim, err := primary.New(primary.Config{Name: testcluster.Primary, Dir: dir, Servers: c.Servers(),
		CoreCreds:  deployment.PrimaryCreds(c.Deployment(), account.RoleCore),
		QueryCreds: deployment.PrimaryCreds(c.Deployment(), account.RoleQuery)}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- prim.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ended <- nil
	}
	t.Cleanup(stop)
	return prim, stop
}

// report returns how far the primary is with a stream of acme, and its alarms.
func report(ctx context.Context, prim *primary.Primary, stream string) (out api.StreamReport, all api.PrimaryReport, err error) {
	if err := prim.Query(ctx, api.PrimaryStatus, struct{}{}, &all); err != nil {
		return out, all, err
	}
	for _, t := range all.Tenants {
		for _, s := range t.Streams {
			if t.Tenant == "acme" && s.Stream == stream {
				return s, all, nil
			}
		}
	}
	return out, all, errors.New("acme is not read")
}

// eventIDs returns the ids of acme's events in the primary, and how often each is there.
func eventIDs(ctx context.Context, prim *primary.Primary) (map[string]int, error) {
	out := map[string]int{}
	for after := ""; ; {
		var page api.Page[api.Event]
		if err := prim.Query(ctx, api.EventList, api.EventRequest{Tenant: "acme", After: after, Limit: 1000}, &page); err != nil {
			return nil, err
		}
		for _, e := range page.Items {
			out[e.ID]++
		}
		if after = page.Next; after == "" {
			return out, nil
		}
	}
}

// numbers publishes events past the door, so that no rate holds them back, each
// until it is acknowledged.
type numbers struct {
	js   jetstream.JetStream
	caps subject.Capability
	seq  int // the last sequence that was given, as a poller does
	low  int // all of these are acknowledged
}

func newNumbers(ctx context.Context, t *testing.T, c *testcluster.Cluster) *numbers {
	t.Helper()
	raw, err := c.Raw(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	nc, err := c.Connect(raw.Creds, raw.User)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	n := &numbers{caps: raw.Capability}
	if n.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return n
}

// hasAll waits until the primary has every event of these sets, and each once.
func hasAll(ctx context.Context, t *testing.T, prim *primary.Primary, sets map[string]int) {
	t.Helper()
	testwait.Until(t, fmt.Sprintf("the primary has all of %v", sets), func() error {
		ids, err := eventIDs(ctx, prim)
		if err != nil {
			return err
		}
		missing := 0
		for set, k := range sets {
			for i := range k {
				if n := ids[numberID(set, i)]; n == 0 {
					missing++
				} else if n > 1 {
					t.Fatalf("%s is there %d times", numberID(set, i), n)
				}
			}
		}
		if missing > 0 {
			s, _, _ := report(ctx, prim, event.StreamEvents)
			return fmt.Errorf("%d are missing: %+v %+v", missing, s, s.Waiting)
		}
		return nil
	})
}

func numberID(set string, i int) string { return fmt.Sprintf("numbers/%s/%d", set, i) }

var filler = []byte(`{"device":"r1","from":"up","to":"down","message":"` + strings.Repeat("x", 4000) + `"}`)

// put stores count events of a set.
func (n *numbers) put(ctx context.Context, t *testing.T, set string, count int) {
	t.Helper()
	in := subject.In{Kind: event.KindEvent, Severity: event.Info, Entity: "r1", Type: event.TypeReachabilityChanged}
	to := n.caps.Subject(in.StoredAs("syd"))
	var waiting []jetstream.PubAckFuture
	for i := range count {
		now := time.Now().UTC().Format(time.RFC3339Nano)
		n.seq++
		m := &nats.Msg{Subject: to, Data: filler, Header: nats.Header{
			event.HeaderMsgID: {numberID(set, i)}, event.HeaderID: {numberID(set, i)}, event.HeaderTime: {now}, event.HeaderReceived: {now},
			event.HeaderProducer: {"numbers"}, event.HeaderSite: {"syd"},
			event.HeaderEpoch: {"1"}, event.HeaderSequence: {fmt.Sprint(n.seq)}, event.HeaderLow: {fmt.Sprint(n.low)}}}
		f, err := n.js.PublishMsgAsync(m)
		if err != nil {
			t.Fatal(err)
		}
		if waiting = append(waiting, f); len(waiting) < 500 && i+1 < count {
			continue
		}
		for _, f := range waiting {
			m := f.Msg()
			select {
			case <-f.Ok():
				continue
			case <-f.Err():
			case <-time.After(5 * time.Second):
			}
			testwait.Until(t, "a message is acknowledged", func() error {
				try, cancel := context.WithTimeout(ctx, 3*time.Second)
				defer cancel()
				m.Reply = ""
				_, err := n.js.PublishMsg(try, m)
				return err
			})
		}
		waiting, n.low = waiting[:0], n.seq
	}
}

// lacks waits until all nodes are at the end of EVENTS, and reports how many messages
// one of them lacks.
func lacks(ctx context.Context, t *testing.T, c *testcluster.Cluster, name string, last uint64) (lost uint64) {
	t.Helper()
	testwait.Until(t, "the nodes are at the end of EVENTS", func() error {
		ask, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		all, err := testcluster.Replicas(ask, c, "acme")
		if err != nil {
			return err
		}
		for _, r := range all[event.StreamEvents] {
			if r.Last < last {
				return fmt.Errorf("%+v", r)
			}
			if r.Node == name {
				lost = r.Last - r.Messages
			}
		}
		if len(all[event.StreamEvents]) < 3 {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})
	return lost
}

// damage flips a bit in the middle of the first block of EVENTS on a node that is
// stopped. The server takes the rest of the block for not there, without a word.
func damage(t *testing.T, c *testcluster.Cluster, name string) {
	t.Helper()
	var block string
	err := filepath.WalkDir(filepath.Join(c.Dir, "nodes", name), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, filepath.Join("streams", event.StreamEvents, "msgs", "1.blk")) {
			block = path
		}
		return err
	})
	if err != nil || block == "" {
		t.Fatalf("no block of EVENTS on %s: %v", name, err)
	}
	data, err := os.ReadFile(block)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(block, data, 0o600); err != nil {
		t.Fatal(err)
	}
	// Else the server believes what it noted when it stopped.
	if err := os.Remove(filepath.Join(filepath.Dir(block), "index.db")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// Two of three replicas lose the same messages, so one of them leads when the third node
// is down. A primary with an empty database waits at the hole, says for which node,
// raises one alarm, and reads other streams; when the node is back it reads all.
func TestPrimaryWaitsForTheReplicaThatHasIt(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	c := testcluster.Start(t, testcluster.Options{AskBeforeRepair: true, Tenants: []*tenants.Spec{testcluster.Tenant("acme")}})
	n := newNumbers(ctx, t, c)
	const count = 6000 // several blocks: what is lost of the last one is in the stream's log
	n.put(ctx, t, "a", count)
	names := c.Names()
	whole, damaged := names[0], names[1:]
	for _, name := range damaged {
		c.Stop(name)
		damage(t, c, name)
		if err := c.Start(ctx, name); err != nil {
			t.Fatal(err)
		}
		if lost := lacks(ctx, t, c, name, count); lost == 0 {
			t.Fatalf("%s was not damaged", name)
		} else {
			t.Logf("%s lacks %d messages", name, lost)
		}
	}
	n.put(ctx, t, "b", 100) // what comes after the hole
	c.Stop(whole)

	prim, _ := ownPrimary(t, c, t.TempDir())
	var st api.StreamReport
	looks := func(what string, f func(api.StreamReport, api.PrimaryReport) bool) {
		t.Helper()
		testwait.Until(t, what, func() (err error) {
			var r api.PrimaryReport
			if st, r, err = report(ctx, prim, event.StreamEvents); err == nil && !f(st, r) {
				err = fmt.Errorf("%+v %+v", st, r)
			}
			return err
		})
	}
	looks("the primary waits", func(s api.StreamReport, _ api.PrimaryReport) bool {
		return s.Waiting != nil && slices.Contains(s.Waiting.Nodes, whole)
	})
	hole := st.Waiting.From
	// It stands there, look after look.
	for until := time.Now().Add(15 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		s, r, err := report(ctx, prim, event.StreamEvents)
		if err != nil {
			t.Fatal(err)
		}
		if s.Cursor >= hole || s.Waiting == nil {
			t.Fatalf("the primary passed the hole at %d: %+v", hole, s)
		}
		waits := 0
		for _, a := range r.Alarms {
			switch a.Alarm {
			case "waits":
				waits++
			case "hole", "purged-ahead":
				t.Fatalf("%+v", a)
			}
		}
		if waits != 1 {
			t.Fatalf("%d alarms that it waits: %+v", waits, r.Alarms)
		}
	}
	problems := api.Health(api.Facts{Primary: &api.PrimaryReport{Name: "p", Tenants: []api.TenantReport{{Tenant: "acme", Streams: []api.StreamReport{st}}}}})
	if !slices.ContainsFunc(problems, func(p api.Problem) bool { return p.Code == api.CodePrimaryWaits && strings.Contains(p.Message, whole) }) {
		t.Errorf("no problem names %s: %+v", whole, problems)
	}
	if s, _, err := report(ctx, prim, event.StreamState); err != nil || s.Cursor == 0 || s.Lag > 0 {
		t.Errorf("STATE waits too: %+v %v", s, err)
	}

	if err := c.Start(ctx, whole); err != nil {
		t.Fatal(err)
	}
	hasAll(ctx, t, prim, map[string]int{"a": count, "b": 100})
	s, r, err := report(ctx, prim, event.StreamEvents)
	if err != nil || s.Waiting != nil || slices.ContainsFunc(r.Alarms, func(a event.Alarm) bool { return a.Alarm == "hole" }) {
		t.Errorf("%+v %+v %v", s, r.Alarms, err)
	}
}
