package testcluster_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/platform/deployment"
	"midplane/poller"
	"midplane/poller/collect"
	"midplane/primary"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// watch runs a primary, and the poller syd-01 of acme, until the test ends.
func watch(ctx context.Context, t *testing.T, c *testcluster.Cluster, collectors map[string]collect.Collector, tel telemetry.Telemetry) {
	t.Helper()
	creds, err := c.User(ctx, "acme", account.RolePoller, "syd-01")
	if err != nil {
		t.Fatal(err)
	}
	prim, err := primary.New(primary.Config{Name: testcluster.Primary, Dir: t.TempDir(), Servers: c.Servers(),
		CoreCreds:  deployment.PrimaryCreds(c.Deployment(), account.RoleCore),
		QueryCreds: deployment.PrimaryCreds(c.Deployment(), account.RoleQuery)}, tel)
	if err != nil {
		t.Fatal(err)
	}
	poll, err := poller.New(poller.Config{User: "syd-01", Dir: filepath.Join(t.TempDir(), "poller"), CredsFile: creds, Servers: c.Servers(),
		Collectors: collectors}, tel)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{prim.Run, poll.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { stop(); running.Wait() })
}

// firstChange waits for the first change of reachability in acme that the
// primary knows of.
func firstChange(ctx context.Context, t *testing.T, c *testcluster.Cluster) api.Event {
	t.Helper()
	query := api.NewQuery(c.Conn, testcluster.Admin)
	for {
		var page api.Page[api.Event]
		_ = query.Do(ctx, api.EventList, api.EventRequest{Tenant: "acme", Type: string(event.TypeReachabilityChanged)}, &page) // until a primary answers
		if len(page.Items) > 0 {
			return page.Items[0]
		}
		if ctx.Err() != nil {
			t.Fatal("the device is neither up nor down")
		}
		time.Sleep(50 * time.Millisecond)
	}
}
