package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/platform/control"
	"midplane/platform/control/upgrade"
	"midplane/platform/deployment"
	"midplane/streams"
	"midplane/telemetry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// patience bounds every wait; nothing passes or fails by how fast it is, except
// where a test says so.
const patience = 90 * time.Second

// pace is the control plane's in these tests: what takes minutes takes seconds.
var pace = control.Pace{Check: time.Second, Trim: 100 * time.Millisecond, Age: 300 * time.Millisecond, Duplicates: time.Millisecond,
	PrimarySilent: 8 * time.Second, PollerSilent: 2 * time.Second, Canary: time.Second, Overlap: time.Second}

// shared is a cluster of three nodes that no test stops. Each test has
// tenants of its own, by names that it may use once: with -count=2 each round has a
// cluster of its own.
var shared struct {
	mu    sync.Mutex
	asked map[string]*testing.T // tests of this round that have asked for it
	dir   string
	c     *testcluster.Cluster
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if code != 0 && shared.c != nil {
		log.Printf("what the shared cluster's nodes warned of:\n%s", testcluster.Warnings(shared.dir))
	}
	if err := closeShared(); err != nil {
		log.Printf("stop the cluster: %v", err)
		code = 1
	}
	os.Exit(code)
}

// closeShared stops the cluster of a round, if there is one.
func closeShared() error {
	var err error
	if shared.c != nil {
		err = shared.c.Close()
	}
	_ = os.RemoveAll(shared.dir)
	shared.c, shared.asked = nil, nil
	return err
}

func cluster(t *testing.T) *testcluster.Cluster {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if was := shared.asked[t.Name()]; was != nil && was != t { // the test runs again
		if err := closeShared(); err != nil {
			t.Fatal(err)
		}
	}
	if shared.asked == nil {
		shared.asked = map[string]*testing.T{}
		if shared.dir, shared.err = os.MkdirTemp("", "midplane-control-"); shared.err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			// What is shown here does not depend on the disk.
			shared.c, shared.err = testcluster.New(ctx, shared.dir, testcluster.Options{NoSync: true, Pace: pace})
		}
	}
	shared.asked[t.Name()] = t
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.c
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}

// ready is what onboards a tenant without a primary.
var ready = []string{api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen}

// do asks again while the cluster is not available: the node that was asked, or
// that should have answered, may be one that is stopping.
func do(t *testing.T, c *testcluster.Cluster, verb string, req, out any) error {
	t.Helper()
	for began := time.Now(); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 7*time.Second)
		err := c.Admin.Do(ctx, verb, req, out)
		cancel()
		if !fault.Is(err, fault.Unavailable) || time.Since(began) > patience {
			return err
		}
		time.Sleep(20 * time.Millisecond) // before it is asked again
	}
}

// apply stores a spec and waits until the tenant is served.
func apply(t *testing.T, c *testcluster.Cluster, s *tenants.Spec) {
	t.Helper()
	served(t, c, string(s.ID), put(t, c, s))
}

// served waits until a tenant is served as its spec of a revision says.
func served(t *testing.T, c *testcluster.Cluster, id string, revision uint64) {
	t.Helper()
	testwait.Until(t, id+" is served", func() error {
		row := status(t, c, id)
		for _, cond := range row.Conditions {
			if row.Revision < revision || !cond.OK && cond.Type != api.PrimaryReading {
				return fmt.Errorf("revision %d of %d, %+v", row.Revision, revision, cond)
			}
		}
		return nil
	})
}

// put stores a spec as an operator's client does: an answer that does not come
// says nothing about whether it was stored, so it compares again.
func put(t *testing.T, c *testcluster.Cluster, s *tenants.Spec) (revision uint64) {
	t.Helper()
	data, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, string(s.ID)+" is stored", func() error {
		var was api.SpecAnswer
		if err := do(t, c, api.TenantSpec, api.TenantRef{Tenant: string(s.ID)}, &was); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if bytes.Equal(was.Spec, data) {
			revision = was.Revision
			return nil
		}
		var now api.TenantRevision
		err := do(t, c, api.TenantPut, api.PutTenant{Spec: data, Revision: was.Revision}, &now)
		revision = now.Revision
		return err
	})
	return revision
}

func ask[T any](t *testing.T, c *testcluster.Cluster, verb string, req any) T {
	t.Helper()
	var out T
	if err := do(t, c, verb, req, &out); err != nil {
		t.Fatalf("%s: %v", verb, err)
	}
	return out
}

func status(t *testing.T, c *testcluster.Cluster, id string) api.Tenant {
	t.Helper()
	return ask[api.Tenant](t, c, api.TenantStatus, api.TenantRef{Tenant: id})
}

func streamRows(t *testing.T, c *testcluster.Cluster, id string) map[string]api.Stream {
	t.Helper()
	out := map[string]api.Stream{}
	for _, s := range ask[api.Page[api.Stream]](t, c, api.StreamList, api.ListRequest{Tenant: id}).Items {
		out[s.ID] = s
	}
	return out
}

// at connects a user to one node, and to no other.
func at(t *testing.T, c *testcluster.Cluster, node int, creds, user string) (*nats.Conn, error) {
	t.Helper()
	nc, err := bus.Connect(bus.Config{Servers: c.Servers()[node : node+1], User: user, Name: user, CredsFile: creds, MaxWait: time.Second}, telemetry.Nop())
	if err == nil {
		t.Cleanup(nc.Close)
	}
	return nc, err
}

func mustAt(t *testing.T, c *testcluster.Cluster, node int, creds, user string) *nats.Conn {
	t.Helper()
	nc, err := at(t, c, node, creds, user)
	if err != nil {
		t.Fatalf("connect %s to node %d: %v", user, node+1, err)
	}
	return nc
}

// admins returns an admin's client on every node.
func admins(t *testing.T, c *testcluster.Cluster) []*api.Admin {
	t.Helper()
	var out []*api.Admin
	for i := range c.Names() {
		nc := mustAt(t, c, i, deployment.AdminCreds(c.Deployment(), testcluster.Admin), testcluster.Admin)
		out = append(out, api.NewAdmin(nc, testcluster.Admin))
	}
	return out
}

// core is what a primary asks with.
func core(t *testing.T, c *testcluster.Cluster) *api.Core {
	t.Helper()
	nc, err := c.Connect(deployment.PrimaryCreds(c.Deployment(), account.RoleCore), testcluster.Primary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	k := api.NewCore(nc, testcluster.Primary)
	// As a primary does: one that does not report it counts as one of v0.1.0.
	if err := k.Do(testContext(t), api.CoreUnderstands, upgrade.Mine(""), nil); err != nil {
		t.Fatal(err)
	}
	return k
}

// toRead is what a primary is given of a tenant.
func toRead(t *testing.T, k *api.Core, id event.Tenant) (api.CoreTenant, bool) {
	t.Helper()
	var answer api.CoreTenantsAnswer
	if err := k.Do(testContext(t), api.CoreTenants, api.CoreTenantsRequest{}, &answer); err != nil {
		t.Fatal(err)
	}
	for _, x := range answer.Tenants {
		if x.Tenant == id {
			return x, true
		}
	}
	return api.CoreTenant{}, false
}

// publish publishes one good event and returns the refusal, if it is one.
func publish(nc *nats.Conn, user string, extra ...nats.Header) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	msg := &nats.Msg{Subject: fmt.Sprintf("in.%s.event.info.r1.%s", user, event.TypeReachabilityChanged), Data: []byte(`{"device":"r1","from":"up","to":"down","message":"gone"}`), Header: nats.Header{}}
	for _, h := range extra {
		for k, v := range h {
			msg.Header[k] = v
		}
	}
	_, err = testcluster.Publish(context.Background(), js, msg)
	return err
}

func errCode(err error) int {
	var e *jetstream.APIError
	if errors.As(err, &e) {
		return int(e.ErrorCode)
	}
	return 0
}

// lastState reads the newest message of one subject of STATE; ok is false when
// there is none.
func lastState(t *testing.T, nc *nats.Conn, subj string) (data []byte, seq uint64, ok bool) {
	t.Helper()
	testwait.Until(t, "an answer of STATE", func() error { // a stream that is being made does not answer
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		m, err := streams.GetMessage(ctx, nc, event.StreamState, streams.Get{Last: subj})
		if errors.Is(err, streams.ErrNoMessage) {
			return nil
		}
		if err == nil {
			data, seq, ok = m.Data, m.Sequence, true
		}
		return err
	})
	return data, seq, ok
}

// alarms returns the alarms in a tenant's EVENTS, by their word.
func alarms(t *testing.T, nc *nats.Conn) map[string]event.Alarm {
	t.Helper()
	out := map[string]event.Alarm{}
	for _, a := range allAlarms(t, nc) {
		a.Message += out[a.Alarm].Message // all that was reported under this word
		out[a.Alarm] = a
	}
	return out
}

// allAlarms returns every alarm in EVENTS, oldest first.
func allAlarms(t *testing.T, nc *nats.Conn) (out []event.Alarm) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := streams.ReadConfig{Stream: event.StreamEvents, Filters: []string{"event.*.*.*." + string(event.TypeAlarm)}}
	if err := streams.ReadAll(testContext(t), js, cfg, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		var a event.Alarm
		if err := json.Unmarshal(m.Data(), &a); err != nil {
			return err
		}
		out = append(out, a)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func hasProblem(s api.ClusterStatus, severity, tenant, part string) (api.Problem, bool) {
	for _, p := range s.Problems {
		if p.Severity == severity && p.Tenant == tenant && strings.Contains(p.Message, part) {
			return p, true
		}
	}
	return api.Problem{}, false
}

func wantKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%s: %v, want %s", what, err, kind)
	}
}
