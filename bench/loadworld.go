package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"midplane/api"
	"midplane/internal/testcluster"
	"midplane/platform/deployment"
	"midplane/primary"
	"midplane/telemetry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// loadTenant is the tenant that the load is put on. It has no quota block.
const loadTenant = "acme"

// loadWorld is a cluster and a primary in this process, what is watched, the
// line between pollers and nodes, and the pollers in processes of their own.
type loadWorld struct {
	cluster *testcluster.Cluster
	dir     string
	size    loadSize
	targets *targets
	proxy   *proxy
	doors   *sdkmetric.ManualReader
	query   *api.Query
	reader  *streamReader
	orders  []watchOrder
	pollers []*pollerProcess
	quota   tenants.Quota
	when    moments
	closers []func()
}

func newLoadWorld(ctx context.Context, size loadSize) (w *loadWorld, err error) {
	w = &loadWorld{size: size, doors: sdkmetric.NewManualReader()}
	defer func() {
		if err != nil {
			w.close()
			w = nil
		}
	}()
	if err = w.makeDir(); err != nil {
		return w, err
	}
	if w.targets, err = newTargets(size.devices, size.interfaces); err != nil {
		return w, err
	}
	w.closers = append(w.closers, w.targets.close)
	spec, err := w.spec()
	if err != nil {
		return w, err
	}
	w.quota = spec.Quota
	tel := telemetry.Nop()
	tel.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.doors)).Meter("bench")
	if err = w.startCore(ctx, spec, testcluster.Options{Tel: &tel}); err != nil {
		return w, err
	}
	if w.proxy, err = newProxy(w.cluster.Servers()); err != nil {
		return w, err
	}
	w.closers = append(w.closers, w.proxy.cut)
	if err = w.order(ctx, w.proxy.servers()); err != nil {
		return w, err
	}
	// Last: it changes the account, and a change of the tenant would wait for
	// the nodes to run the one that was planned.
	if w.reader, err = readStreams(ctx, w.cluster, loadTenant); err != nil {
		return w, err
	}
	w.closers = append(w.closers, w.reader.close)
	return w, nil
}

func (w *loadWorld) makeDir() (err error) {
	if w.dir, err = os.MkdirTemp("", "midplane-bench-"); err != nil {
		return err
	}
	w.closers = append(w.closers, func() { _ = os.RemoveAll(w.dir) })
	return nil
}

// startCore starts a cluster and a primary in this process and applies the tenant.
func (w *loadWorld) startCore(ctx context.Context, spec *tenants.Spec, opts testcluster.Options) (err error) {
	if w.cluster, err = testcluster.New(ctx, w.dir, opts); err != nil {
		return err
	}
	w.closers = append(w.closers, func() { _ = w.cluster.Close() }) // what was measured has been printed
	if err := w.startPrimary(ctx); err != nil {
		return err
	}
	return w.cluster.Apply(ctx, spec)
}

// close ends everything, the last first.
func (w *loadWorld) close() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
}

func (w *loadWorld) startPrimary(ctx context.Context) error {
	p, err := primary.New(primary.Config{
		Name: testcluster.Primary, Dir: filepath.Join(w.dir, "primary"), Servers: w.cluster.Servers(), Version: "bench",
		CoreCreds:  deployment.PrimaryCreds(w.cluster.Deployment(), account.RoleCore),
		QueryCreds: deployment.PrimaryCreds(w.cluster.Deployment(), account.RoleQuery),
	}, telemetry.Nop())
	if err != nil {
		return err
	}
	rctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- p.Run(rctx) }()
	w.closers = append(w.closers, func() { stop(); <-done })
	w.query = api.NewQuery(w.cluster.Conn, testcluster.Admin)
	return p.Ready(ctx)
}

// order makes the pollers' users and sets what each is to do.
func (w *loadWorld) order(ctx context.Context, servers []string) error {
	for n := range w.size.pollers {
		name := fmt.Sprintf("syd-%02d", n+1)
		creds, err := w.cluster.User(ctx, loadTenant, account.RolePoller, name)
		if err != nil {
			return err
		}
		w.orders = append(w.orders, watchOrder{User: name, Creds: creds, Dir: filepath.Join(w.dir, name), Servers: servers, OutboxBytes: w.size.outbox})
	}
	return nil
}

// startPollers starts every poller at the same time.
func (w *loadWorld) startPollers(ctx context.Context) error {
	for _, o := range w.orders {
		p, err := startPoller(ctx, o)
		if err != nil {
			return err
		}
		w.pollers = append(w.pollers, p)
		w.closers = append(w.closers, func() { _ = p.stop() }) // a second time changes nothing
	}
	return nil
}

// stopPollers stops them and returns what went wrong.
func (w *loadWorld) stopPollers() error {
	var errs []error
	for _, p := range w.pollers {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

// spec is the tenant: SNMP devices with one check each, and devices with
// several TCP checks of the same port each.
func (w *loadWorld) spec() (*tenants.Spec, error) {
	devices := snmpDevices(w.targets.addresses(), w.size.interval)
	port := strconv.Itoa(w.targets.listener.Addr().(*net.TCPAddr).Port)
	for n := range w.size.tcpDevices() {
		var checks []any
		for c := range w.size.perDevice {
			if n*w.size.perDevice+c < w.size.checks {
				checks = append(checks, map[string]any{"name": fmt.Sprintf("t%d", c), "collector": "tcp", "interval": w.size.interval.String(), "params": map[string]string{"port": port}})
			}
		}
		devices = append(devices, map[string]any{"id": fmt.Sprintf("t%04d", n), "address": "127.0.0.1", "checks": checks})
	}
	return loadSpec(w.size.pollers, devices)
}

// snmpDevices declares simulated devices with one check each.
func snmpDevices(agents []netip.AddrPort, interval time.Duration) (devices []any) {
	for n, a := range agents {
		devices = append(devices, map[string]any{"id": fmt.Sprintf("s%04d", n), "address": a.Addr().String(),
			"snmp":   map[string]any{"version": "2c", "community": "env:" + communityVar, "port": a.Port()},
			"checks": []any{map[string]any{"name": "snmp", "collector": "snmp", "interval": interval.String()}}})
	}
	return devices
}

// loadSpec is the tenant that the load is put on, of one site.
func loadSpec(count int, devices []any) (*tenants.Spec, error) {
	var pollers []any
	for n := range count {
		pollers = append(pollers, map[string]any{"id": fmt.Sprintf("syd-%02d", n+1)})
	}
	data, err := json.Marshal(map[string]any{"apiVersion": tenants.APIVersion, "kind": tenants.KindTenant, "id": loadTenant, "name": loadTenant,
		"sites": []any{map[string]any{"id": "syd", "name": "Sydney", "pollers": pollers, "devices": devices}}})
	if err != nil {
		return nil, err
	}
	return tenants.ParseJSON(data)
}

// counted sums a counter of the doors, by its reason or kind.
func (w *loadWorld) counted(ctx context.Context, name string) (map[string]int64, error) {
	var rm metricdata.ResourceMetrics
	if err := w.doors.Collect(ctx, &rm); err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			data, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name != name {
				continue
			}
			for _, p := range data.DataPoints {
				if tenant, _ := p.Attributes.Value(telemetry.AttrTenant); tenant.AsString() != loadTenant || p.Value == 0 {
					continue
				}
				label, ok := p.Attributes.Value(telemetry.AttrReason)
				if !ok {
					label, _ = p.Attributes.Value(telemetry.AttrKind)
				}
				out[label.AsString()] += p.Value
			}
		}
	}
	return out, nil
}

// inPrimary is how many devices are up and how many checks were seen there.
func (w *loadWorld) inPrimary(ctx context.Context) (devices, checks int, err error) {
	rows, err := api.All[api.Device](ctx, w.query.Do, api.DeviceList, api.ListRequest{Tenant: loadTenant})
	if err != nil {
		return 0, 0, err
	}
	for _, d := range rows {
		if d.Status == "up" {
			devices++
		}
	}
	list, err := api.All[api.Check](ctx, w.query.Do, api.CheckList, api.ListRequest{Tenant: loadTenant})
	if err != nil {
		return 0, 0, err
	}
	for _, c := range list {
		if c.LastSeen != nil && c.Status == "ok" {
			checks++
		}
	}
	return devices, checks, nil
}

// caughtUp waits until the primary has folded and the reader has read all.
func (w *loadWorld) caughtUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		left, err := w.reader.behind(ctx)
		if err != nil {
			return err
		}
		var status api.PrimaryReport
		if err := w.query.Do(ctx, api.PrimaryStatus, struct{}{}, &status); err != nil {
			return err
		}
		for _, t := range status.Tenants {
			for _, s := range t.Streams {
				if t.Tenant == loadTenant {
					left += s.Lag
				}
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("primary or reader is %d messages behind the streams", left)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
