package watchdog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/subject"
	"midplane/tenants"
)

func status(t *testing.T, c *testcluster.Cluster) (out api.ClusterStatus) {
	t.Helper()
	testwait.Until(t, "status", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		out = api.ClusterStatus{}
		return c.Admin.Do(ctx, api.NodeStatus, struct{}{}, &out)
	})
	return out
}

func find(list []api.Problem, code api.Code, stream string) *api.Problem {
	i := slices.IndexFunc(list, func(p api.Problem) bool { return p.Code == code && p.Subject == stream })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// alarms are the events of a tenant that a stream stores nothing, or again.
func alarms(ctx context.Context, js jetstream.JetStream) (map[string]event.Alarm, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out := map[string]event.Alarm{}
	s, err := js.Stream(ctx, event.StreamEvents)
	if err != nil {
		return nil, err
	}
	for seq := s.CachedInfo().State.FirstSeq; seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(ctx, seq)
		if err != nil {
			continue
		}
		var a event.Alarm
		if json.Unmarshal(m.Data, &a) == nil && a.Alarm != "" {
			out[a.Alarm+" "+a.Stream] = a
		}
	}
	return out, nil
}

// world is a cluster with a tenant, and the way into its streams, past the door.
func world(t *testing.T) (context.Context, *testcluster.Cluster, jetstream.JetStream) {
	t.Helper()
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Tenants: []*tenants.Spec{testcluster.Tenant("acme")}})
	ctx, cancel := context.WithTimeout(t.Context(), 4*testwait.Patience)
	t.Cleanup(cancel)
	_, _, js := testcluster.Straight(ctx, t, c, "acme")
	return ctx, c, js
}

// A stream that has halted is a problem when that lasts although all nodes live, and an
// event of its tenant. Streams that only have nothing to do are none.
func TestHaltedStream(t *testing.T) {
	ctx, c, js := world(t)
	if err := testcluster.Halt(ctx, c, "acme", subject.In{Kind: event.KindState, Entity: "halted", Type: event.TypeReachability}); err != nil {
		t.Fatal(err)
	}
	testwait.Within(t, 2*testwait.Patience, "it has stalled", func() error {
		s := status(t, c)
		p := find(s.Problems, api.CodeStreamStalled, event.StreamState)
		if p == nil {
			return fmt.Errorf("%+v", s.Problems)
		}
		if p.Tenant != "acme" || p.Hint == "" {
			t.Fatalf("%+v", p)
		}
		for _, stream := range event.Streams {
			if stream == event.StreamState {
				continue
			}
			if find(s.Problems, api.CodeStreamStalled, stream) != nil || find(s.Problems, api.CodeStreamNoLeader, stream) != nil {
				t.Fatalf("%s, too: %+v", stream, s.Problems)
			}
		}
		return nil
	})
	testwait.Until(t, "it is an event", func() error {
		got, err := alarms(ctx, js)
		if err != nil {
			return err
		}
		if a := got["stalled STATE"]; a.Message == "" || a.Hint == "" {
			return fmt.Errorf("%+v", got)
		}
		for what, a := range got {
			if a.Stream != event.StreamState {
				t.Fatalf("%s: %+v", what, got)
			}
		}
		return nil
	})
}

// Two of three nodes stop: the one that is left says that first, and which streams have
// no leader therefore. When they are back, tenants learn how long nothing was stored,
// and the audit log how long there was no quorum.
func TestQuorumIsLost(t *testing.T) {
	ctx, c, js := world(t)
	names := c.Names()
	for _, n := range names[1:] {
		c.Stop(n)
	}
	testwait.Within(t, 2*testwait.Patience, "the node that is left says so", func() error {
		s := status(t, c)
		list := api.Health(api.Facts{Cluster: &s})
		roots := api.Roots(list)
		if len(roots) == 0 || roots[0].Code != api.CodeNoQuorum || len(roots[0].Follows) < len(event.Kinds) {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
	began := time.Now()
	testwait.True(t, "longer than an election", func() bool { return time.Since(began) > 20*time.Second })
	for _, n := range names[1:] {
		if err := c.Start(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	testwait.Within(t, 2*testwait.Patience, "it is an event", func() error {
		if s := status(t, c); find(s.Problems, api.CodeNoQuorum, names[0]) != nil {
			return fmt.Errorf("%+v", s.Problems)
		}
		got, err := alarms(ctx, js)
		if err != nil {
			return err
		}
		for _, k := range event.Kinds {
			if got["stores-again "+k.Stream()].Message == "" {
				return fmt.Errorf("%s: %+v", k, got)
			}
		}
		return nil
	})
	testwait.Until(t, "the quorum's loss is recorded", func() error {
		var page api.Page[api.AuditRecord]
		err := c.Admin.Do(ctx, api.AuditList, api.AuditRequest{}, &page)
		if err != nil && !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(page.Items, func(r api.AuditRecord) bool { return r.Verb == "quorum.lost" && r.Target == names[0] }) {
			return fmt.Errorf("%+v, %v", page.Items, err)
		}
		return nil
	})
}
