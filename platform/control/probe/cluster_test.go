package probe_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/platform/control"
	"midplane/platform/control/probe"
	"midplane/platform/deployment"
	"midplane/subject"
	"midplane/tenants/account"
)

// world is a cluster with one customer, whose nodes try their doors often.
func world(t *testing.T, opts testcluster.Options) *testcluster.Cluster {
	t.Helper()
	opts.NoSync, opts.Tenants = true, append(opts.Tenants, testcluster.Tenant("acme"))
	opts.Pace = control.Pace{Probe: 200 * time.Millisecond, Check: time.Second, Compare: time.Second, Canary: time.Second}
	return testcluster.Start(t, opts)
}

func ask[T any](t *testing.T, c *testcluster.Cluster, verb string, req any) (out T, err error) {
	t.Helper()
	for began := time.Now(); ; {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		err = c.Admin.Do(ctx, verb, req, &out)
		cancel()
		if !fault.Is(err, fault.Unavailable) || time.Since(began) > testwait.Patience {
			return out, err
		}
	}
}

func status(t *testing.T, c *testcluster.Cluster) api.ClusterStatus {
	t.Helper()
	s, err := ask[api.ClusterStatus](t, c, api.NodeStatus, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tried waits until every node has got a message through its door and back.
func tried(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	testwait.Until(t, "every node tries its door", func() error {
		for _, n := range status(t, c).Nodes {
			if n.Probe == nil || n.Probe.Failures > 0 || n.Probe.TookMS <= 0 {
				return fmt.Errorf("%s: %+v", n.ID, n.Probe)
			}
		}
		return nil
	})
}

// Every node publishes through its own door and reads it back, in a tenant that nobody
// sees: it is not listed, counted or promised anything, and nobody can change it. Its
// replicas are compared as all are, and its stream does not grow.
func TestNodesTryTheirDoors(t *testing.T) {
	c := world(t, testcluster.Options{})
	tried(t, c)
	first := map[string]time.Time{}
	for _, n := range status(t, c).Nodes {
		first[n.ID] = n.Probe.At
	}
	testwait.Until(t, "and again", func() error {
		for _, n := range status(t, c).Nodes {
			if !n.Probe.At.After(first[n.ID].Add(2 * time.Second)) {
				return fmt.Errorf("%s: %+v", n.ID, n.Probe)
			}
		}
		return nil
	})

	list, err := ask[api.Page[api.Tenant]](t, c, api.TenantList, api.ListRequest{})
	if err != nil || len(list.Items) != 1 || list.Items[0].ID != "acme" {
		t.Errorf("tenants: %+v, %v", list, err)
	}
	rows, err := ask[api.Page[api.Stream]](t, c, api.StreamList, api.ListRequest{})
	if err != nil || slices.ContainsFunc(rows.Items, func(s api.Stream) bool { return s.Tenant != "acme" }) {
		t.Errorf("streams: %+v, %v", rows, err)
	}
	space, err := ask[api.Space](t, c, api.SpaceCheck, api.SpaceRequest{})
	if acme := int64(testcluster.Tenant("acme").Quota.Storage); err != nil || space.Promised >= 2*acme || space.Promised < acme {
		t.Errorf("promised: %+v, %v", space, err)
	}
	testwait.Until(t, "only the customer is counted", func() error {
		s := status(t, c)
		for _, n := range s.Nodes {
			if n.Tenants != 1 {
				return fmt.Errorf("%+v", n)
			}
		}
		if s.Isolation == nil || s.Isolation.Proven == nil || s.Isolation.Tenants != 1 || s.Isolation.Listening != 1 {
			return fmt.Errorf("%+v", s.Isolation)
		}
		for _, p := range s.Problems {
			if p.Tenant != "acme" { // which no primary reads
				return fmt.Errorf("%+v", p)
			}
		}
		return nil
	})

	id := string(event.ProbeTenant)
	spec, err := probe.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Name = "another"
	data, err := spec.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for verb, x := range map[string]struct {
		req  any
		kind fault.Kind
	}{
		api.TenantStatus: {api.TenantRef{Tenant: id}, fault.NotFound},
		api.TenantDelete: {api.TenantRef{Tenant: id}, fault.NotFound},
		api.TenantPut:    {api.PutTenant{Spec: data}, fault.Invalid},
		api.UserCreate:   {api.CreateUser{Tenant: id, Name: "x", Role: "producer"}, fault.NotFound},
		api.StreamList:   {api.ListRequest{Tenant: id}, fault.NotFound},
	} {
		if _, err := ask[struct{}](t, c, verb, x.req); !fault.Is(err, x.kind) {
			t.Errorf("%s: %v", verb, err)
		}
	}

	nc, err := c.Connect(deployment.PrimaryCreds(c.Deployment(), account.RoleCore), testcluster.Primary)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	var toRead api.CoreTenantsAnswer
	if err := api.NewCore(nc, testcluster.Primary).Do(t.Context(), api.CoreTenants, api.CoreTenantsRequest{}, &toRead); err != nil || len(toRead.Tenants) != 1 {
		t.Errorf("a primary is to read %+v, %v", toRead.Tenants, err)
	}

	testwait.Until(t, "its replicas are compared", func() error {
		page, err := ask[api.Page[api.Replica]](t, c, api.ReplicaList, api.ListRequest{})
		if err != nil {
			return err
		}
		compared := 0
		for _, r := range page.Items {
			if r.Tenant != id || r.Stream != event.StreamState {
				continue
			}
			if r.Messages > uint64(len(c.Names())) || r.Last <= r.Messages {
				t.Fatalf("it does not hold one message for each node: %+v", r)
			}
			if r.ComparedAt != nil {
				compared++
			}
		}
		if compared != len(c.Names()) {
			return fmt.Errorf("%+v", page.Items)
		}
		return nil
	})
}

// When nothing comes through the doors any more that is a problem of each node, which
// says why.
func TestDoorThatTakesNothingIsAProblem(t *testing.T) {
	c := world(t, testcluster.Options{})
	tried(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), testwait.Patience)
	defer cancel()
	if err := testcluster.Halt(ctx, c, string(event.ProbeTenant), subject.In{Kind: event.KindState, Entity: "halted", Type: event.TypeReachability}); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "every node says so", func() error {
		list := status(t, c).Problems
		for _, n := range c.Names() {
			i := slices.IndexFunc(list, func(p api.Problem) bool { return p.Code == api.CodeProbeFailed && p.Subject == n })
			if i < 0 {
				return fmt.Errorf("%s: %+v", n, list)
			}
			if list[i].Hint == "" || list[i].Tenant != "" {
				t.Fatalf("%+v", list[i])
			}
		}
		return nil
	})
}
