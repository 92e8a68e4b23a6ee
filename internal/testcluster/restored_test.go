package testcluster_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/primary"
	"midplane/tenants"
)

// between stops all nodes, runs f, and starts them again.
func between(ctx context.Context, t *testing.T, c *testcluster.Cluster, f func(data string) error) {
	t.Helper()
	for _, name := range c.Names() {
		c.Stop(name)
	}
	if err := f(filepath.Join(c.Dir, "nodes")); err != nil {
		t.Fatal(err)
	}
	for _, name := range c.Names() {
		if err := c.Start(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	testwait.Until(t, "the nodes are healthy", func() error {
		try, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		return c.Healthy(try)
	})
	testwait.True(t, "acme is served", func() bool {
		var row api.Tenant
		try, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		if c.Admin.Do(try, api.TenantStatus, api.TenantRef{Tenant: "acme"}, &row) != nil {
			return false
		}
		for _, cond := range row.Conditions { // its poller runs nowhere, so it is not Ready
			if (cond.Type == api.StreamsReady || cond.Type == api.IngressOpen) && !cond.OK {
				return false
			}
		}
		return true
	})
}

// All nodes are put back to an older copy while a primary keeps what it has read since:
// it reads all that is stored after that, nothing twice, and raises an alarm that names
// the range, which it reads itself as an event.
func TestNodesPutBackToAnOlderCopy(t *testing.T) {
	for name, running := range map[string]bool{"the primary runs": true, "the primary is away": false} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
			defer cancel()
			c := testcluster.Start(t, testcluster.Options{Tenants: []*tenants.Spec{testcluster.Tenant("acme")}})
			n := newNumbers(ctx, t, c)
			dir, saved := t.TempDir(), filepath.Join(t.TempDir(), "saved")
			prim, stop := ownPrimary(t, c, dir)
			n.put(ctx, t, "a", 300)
			hasAll(ctx, t, prim, map[string]int{"a": 300})
			between(ctx, t, c, func(data string) error { return os.CopyFS(saved, os.DirFS(data)) })
			n.put(ctx, t, "b", 200)
			hasAll(ctx, t, prim, map[string]int{"a": 300, "b": 200})
			if !running {
				stop()
			}
			between(ctx, t, c, func(data string) error {
				if err := os.RemoveAll(data); err != nil {
					return err
				}
				return os.CopyFS(data, os.DirFS(saved))
			})
			others := 100 // fewer than the primary has read
			if !running {
				others = 400
			}
			n.put(ctx, t, "c", others)
			if !running {
				prim, _ = ownPrimary(t, c, dir)
			}
			hasAll(ctx, t, prim, map[string]int{"a": 300, "b": 200, "c": others})
			testwait.True(t, "the alarm is an event", func() bool { return told(ctx, prim) })
		})
	}
}

// told reports whether the primary has an alarm event about another history of EVENTS.
func told(ctx context.Context, prim *primary.Primary) bool {
	var page api.Page[api.Event]
	if prim.Query(ctx, api.EventList, api.EventRequest{Tenant: "acme", Type: string(event.TypeAlarm), Limit: 100, Newest: true}, &page) != nil {
		return false
	}
	for _, e := range page.Items {
		var a event.Alarm
		if json.Unmarshal(e.Data, &a) == nil && a.Alarm == "history" && a.Stream == event.StreamEvents && a.From > 0 && a.To >= a.From {
			return true
		}
	}
	return false
}
