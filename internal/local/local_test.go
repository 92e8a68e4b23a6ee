package local_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/local"
	"midplane/internal/testcluster"
	"midplane/telemetry"
)

const patience = 60 * time.Second

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestConfigThatCannotBeRightIsRefused(t *testing.T) {
	for what, x := range map[string]struct {
		cfg  local.Config
		want fault.Kind
	}{
		"no port":             {local.Config{Client: "127.0.0.1"}, fault.Invalid},
		"a port in words":     {local.Config{Client: "127.0.0.1:nats"}, fault.Invalid},
		"open without TLS":    {local.Config{Client: "0.0.0.0:4222"}, fault.Invalid},
		"another's address":   {local.Config{Client: "192.0.2.1:4222"}, fault.Invalid},
		"a name, without TLS": {local.Config{Client: "example.org:4222"}, fault.Invalid},
	} {
		x.cfg.Dir, x.cfg.Admin, x.cfg.Primary = t.TempDir(), "admin", "primary-1"
		_, err := local.New(x.cfg, telemetry.Nop())
		if !fault.Is(err, x.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A folder that was made for three nodes is not run with another number.
func TestFolderKeepsItsNumberOfNodes(t *testing.T) {
	cfg := local.Config{Dir: t.TempDir(), Client: "127.0.0.1:0", Admin: "admin", Primary: "primary-1"}
	if _, err := local.New(cfg, telemetry.Nop()); err != nil {
		t.Fatal(err)
	}
	cfg.Nodes = 5
	if _, err := local.New(cfg, telemetry.Nop()); !fault.Is(err, fault.Conflict) {
		t.Errorf("%v", err)
	}
}

// A node whose port is taken ends the cluster with a word about which and why.
func TestClusterSaysWhichNodeCannotStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	c, err := local.New(local.Config{Dir: t.TempDir(), Client: fmt.Sprintf("127.0.0.1:%d", port), NoSync: true, Admin: "admin", Primary: "primary-1"}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	if err := c.Ready(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("ready: %v", err)
	}
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "n1") {
			t.Errorf("it ended with %v", err)
		}
	case <-ctx.Done():
		t.Error("it did not end")
	}
	if err := c.Start(ctx, "n9"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a node that does not exist: %v", err)
	}
}

// Everything is stopped and started again on the same folder: what was
// declared is there, and served.
func TestClusterGoesOnWhereItWas(t *testing.T) {
	dir, ctx := t.TempDir(), testContext(t)
	first, err := testcluster.New(ctx, dir, testcluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Apply(ctx, testcluster.Tenant("acme"), api.AccountPushed, api.StreamsReady, api.IngressOpen); err != nil {
		t.Fatal(err)
	}
	var was api.Tenant
	if err := first.Admin.Do(ctx, api.TenantStatus, api.TenantRef{Tenant: "acme"}, &was); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := testcluster.New(ctx, dir, testcluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := again.Apply(ctx, testcluster.Tenant("acme"), api.AccountPushed, api.StreamsReady, api.IngressOpen); err != nil {
		t.Fatal(err)
	}
	var now api.Tenant
	if err := again.Admin.Do(ctx, api.TenantStatus, api.TenantRef{Tenant: "acme"}, &now); err != nil {
		t.Fatal(err)
	}
	if now.Account != was.Account {
		t.Errorf("account %s became %s", was.Account, now.Account)
	}
}

// A node is ready while it has a quorum. Without one it says so, and why; with
// one again it is ready again.
func TestNodeWithoutAQuorumIsNotReady(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{NoSync: true})
	ctx := testContext(t)
	healthy := func(name string) error { return c.Node(name).Healthy(ctx) }
	await := func(what string, f func() error) {
		t.Helper()
		for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			err := f()
			if err == nil {
				return
			}
			if time.Since(began) > patience {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	for _, name := range c.Names() {
		await(name+" is ready", func() error { return healthy(name) })
	}
	c.Stop("n2")
	await("two of three are a quorum", func() error {
		if err := c.Healthy(ctx); err == nil || !strings.Contains(err.Error(), "n2 is not running") {
			return fmt.Errorf("the cluster says %w", err)
		}
		return errors.Join(healthy("n1"), healthy("n3"))
	})
	c.Stop("n3")
	began := time.Now()
	await("one of three is not ready", func() error {
		err := healthy("n1")
		if err == nil {
			return errors.New("it is")
		}
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "n1") {
			t.Fatalf("it says %v", err)
		}
		return nil
	})
	t.Logf("not ready %s after the quorum was lost: %v", time.Since(began).Round(100*time.Millisecond), healthy("n1"))
	if err := c.Start(ctx, "n3"); err != nil {
		t.Fatal(err)
	}
	if err := c.Node("n3").Healthy(ctx); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a node that is starting is not ready: %v", err)
	}
	await("two of three again", func() error { return errors.Join(healthy("n1"), healthy("n3")) })
}
