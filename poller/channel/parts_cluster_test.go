package channel_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/poller/channel"
	"midplane/tenants"
	"midplane/tenants/account"
)

// many is a tenant whose one poller watches n devices by tcp.
func many(t testing.TB, n int) *tenants.Spec {
	t.Helper()
	s, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme","sites":[{"id":"syd","pollers":[{"id":"syd-01"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s.Sites[0].Devices = append(s.Sites[0].Devices, tenants.Device{
			ID: event.Entity(fmt.Sprintf("r%05d", i)), Name: fmt.Sprintf("Router %d", i), Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250+1),
			Checks: []tenants.Check{{Name: "ssh", Collector: "tcp", Interval: api.Duration(time.Minute), Timeout: api.Duration(5 * time.Second), Params: map[string]string{"port": "22"}}},
		})
	}
	return s
}

// head returns the names of the parts that a tenant is stored in.
func head(ctx context.Context, t *testing.T, c *testcluster.Cluster) map[string]bool {
	t.Helper()
	var answer api.SpecAnswer
	if err := c.Admin.Do(ctx, api.TenantSpec, api.SpecRequest{Tenant: "acme", Reads: []string{api.ReadsParts}}, &answer); err != nil {
		t.Fatal(err)
	}
	h, err := tenants.ParseHead(answer.Spec, tenants.Options{Stored: true})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, name := range h.Names() {
		out[name] = true
	}
	return out
}

// settled waits until a new deployment uses what its version can do.
func settled(ctx context.Context, t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	testwait.Until(t, "the level of the deployment", func() error {
		var u api.Upgrade
		if err := c.Admin.Do(ctx, api.UpgradeStatus, struct{}{}, &u); err != nil {
			return err
		}
		if u.Open {
			return fmt.Errorf("still open: %s", u.Next)
		}
		return nil
	})
}

func added(was, now map[string]bool) (n int) {
	for name := range now {
		if !was[name] {
			n++
		}
	}
	return n
}

// A tenant with as many devices as one may have is stored, declared and delivered;
// and one device that changes is one part stored, one part fetched and one message.
func TestTwentyThousandDevices(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{NoSync: true})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	spec := many(t, tenants.MaxDevices)
	ready := []string{api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen}
	settled(ctx, t, c)
	began := time.Now()
	if err := c.Apply(ctx, spec, ready...); err != nil {
		t.Fatal(err)
	}
	t.Logf("applied in %s", time.Since(began).Round(time.Millisecond))
	dir := t.TempDir()
	creds, err := c.User(ctx, "acme", account.RolePoller, "syd-01")
	if err != nil {
		t.Fatal(err)
	}
	nc, err := c.Connect(creds, "syd-01")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	got := make(chan api.PollerConfig, 8)
	newChannel := func() *channel.Channel {
		return channel.New(channel.Config{User: "syd-01", Dir: dir, CredsFile: creds, Apply: func(cfg api.PollerConfig) { got <- cfg },
			Pace: func(api.Pace) {}, Types: func(map[event.Type]int) {}, Polls: func(*api.Polls) {}}, slog.New(slog.DiscardHandler))
	}
	ch := newChannel()
	run, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- ch.Run(run, nc, func() api.PollerReport { return api.PollerReport{Version: "test", Revision: ch.Revision()} })
	}()
	next := func() api.PollerConfig {
		t.Helper()
		select {
		case cfg := <-got:
			return cfg
		case <-ctx.Done():
			t.Fatal("no configuration")
		}
		return api.PollerConfig{}
	}
	cfg := next()
	for len(cfg.Devices) == 0 {
		cfg = next()
	}
	if len(cfg.Devices) != tenants.MaxDevices {
		t.Fatalf("the poller was given %d devices", len(cfg.Devices))
	}
	last := declared(ctx, t, c, tenants.MaxDevices)
	wasHead, wasFiles, wasBytes := head(ctx, t, c), onDisk(t, dir, cfg.Parts), nc.Stats().InBytes

	spec = many(t, tenants.MaxDevices)
	spec.Sites[0].Devices[777].Address = "192.0.2.1"
	began = time.Now()
	if err := c.Apply(ctx, spec, ready...); err != nil {
		t.Fatal(err)
	}
	t.Logf("one device applied in %s", time.Since(began).Round(time.Millisecond))
	cfg = next()
	if i := slices.IndexFunc(cfg.Devices, func(d api.PollerDevice) bool { return d.ID == "r00777" }); len(cfg.Devices) != tenants.MaxDevices || cfg.Devices[i].Address != "192.0.2.1" {
		t.Fatalf("%d devices, %+v", len(cfg.Devices), cfg.Devices[i])
	}
	if n := added(wasHead, head(ctx, t, c)); n != 1 {
		t.Errorf("%d parts were stored for one device", n)
	}
	if now := declared(ctx, t, c, tenants.MaxDevices); now != last+1 {
		t.Errorf("%d messages declare one device", now-last)
	}
	nowFiles := onDisk(t, dir, cfg.Parts)
	if n := added(wasFiles, nowFiles); n != 1 {
		t.Errorf("%d parts were fetched for one device", n)
	}
	if n := nc.Stats().InBytes - wasBytes; n > 256<<10 {
		t.Errorf("the poller was sent %d bytes for one device", n)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	newChannel().Restore()
	if kept := next(); len(kept.Devices) != tenants.MaxDevices || kept.Revision != cfg.Revision {
		t.Errorf("kept on disk: %d devices at revision %d", len(kept.Devices), kept.Revision)
	}
	// A poller that does not read parts hears why it is given nothing.
	var whole api.PollerConfig
	err = askOld(ctx, t, nc, creds, &whole)
	if err == nil {
		t.Errorf("%d devices in one message", len(whole.Devices))
	}
	t.Log(err)
}

// onDisk waits until these parts are on disk, and no others: they are kept after
// they are applied.
func onDisk(t *testing.T, dir string, parts []string) map[string]bool {
	t.Helper()
	want := map[string]bool{"head.json": true}
	for _, name := range parts {
		want[name+".json"] = true
	}
	testwait.Until(t, "the parts of the configuration on disk", func() error {
		list, err := os.ReadDir(filepath.Join(dir, "config"))
		if err != nil {
			return err
		}
		now := map[string]bool{}
		for _, f := range list {
			now[f.Name()] = true
		}
		if !maps.Equal(want, now) {
			return fmt.Errorf("%d files, want %d", len(now), len(want))
		}
		return nil
	})
	return want
}

// declared waits until n devices are declared and returns the last sequence of
// STATE, which does not rise for a while then.
func declared(ctx context.Context, t *testing.T, c *testcluster.Cluster, n uint64) uint64 {
	t.Helper()
	var last uint64
	for quiet := 0; ; quiet++ {
		var page api.Page[api.Stream]
		if err := c.Admin.Do(ctx, api.StreamList, api.ListRequest{Tenant: "acme"}, &page); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(page.Items, func(s api.Stream) bool { return s.ID == event.StreamState })
		if i < 0 {
			t.Fatalf("no stream %s in %+v", event.StreamState, page.Items)
		}
		state := page.Items[i]
		if state.Last != last {
			quiet, last = 0, state.Last
		}
		if state.Messages >= n && quiet >= 10 {
			return last
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d of %d devices are declared", state.Messages, n)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func askOld(ctx context.Context, t *testing.T, nc *nats.Conn, creds string, into *api.PollerConfig) error {
	t.Helper()
	data, err := os.ReadFile(creds)
	if err != nil {
		t.Fatal(err)
	}
	user, err := account.ReadCreds(data)
	if err != nil {
		t.Fatal(err)
	}
	sign, err := account.SignWith(user.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return api.NewChannel(nc, "syd-01", sign).Do(ctx, api.ChannelConfig, api.ConfigRequest{Reads: []string{api.ReadsPace}}, into)
}
