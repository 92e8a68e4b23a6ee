package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"midplane/tenants"
)

// manyDevices measures what many devices cost the cluster without being watched:
// "midplane up", which is three nodes and the primary in one process, a tenant with
// as many devices as one may have, one device of it that is changed, and further
// tenants up to 50,000 devices.
func manyDevices(ctx context.Context, o options) (result, error) {
	const others, each = 3, 10_000
	most, further := tenants.MaxDevices, each
	if o.short {
		most, further = 2000, 500
	}
	r := result{floor: "one changed device takes ≤ 10 % of the bytes written for all"}
	m, stop, err := machine(ctx)
	if err != nil {
		return r, err
	}
	defer stop()
	p, err := m.Start("up", "up", "--data", filepath.Join(m.Dir, "data"), "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := m.Await(limit, func(ctx context.Context) error { return anyUp(ctx, m) }); err != nil {
		return r, fmt.Errorf("%w\n%s", err, m.Log("up"))
	}
	// apply returns how many bytes the cluster wrote for it, and until it is quiet.
	apply := func(id string, n int, changed string) (int64, error) {
		file := filepath.Join(m.Dir, id+".yaml")
		if err := os.WriteFile(file, []byte(unwatched(id, n, changed)), 0o600); err != nil {
			return 0, err
		}
		before, err := usageOf(p.Pid())
		if err != nil {
			return 0, err
		}
		began := time.Now()
		if _, err := m.Run(ctx, "apply", "-f", file, "--timeout", "5m"); err != nil {
			return 0, fmt.Errorf("%w\n%s", err, m.Log("up"))
		}
		took := time.Since(began)
		if err := pause(ctx, 5*time.Second); err != nil { // the primary reads what is declared
			return 0, err
		}
		after, err := usageOf(p.Pid())
		if err != nil {
			return 0, err
		}
		what := fmt.Sprintf("%d devices", n)
		if changed != "" {
			what = "one device changed"
		}
		r.text = append(r.text, fmt.Sprintf("tenant %s, %s: apply to Ready %.1f s; within 5 s more %.1f s of CPU, %.1f MB written; %.0f MB resident",
			id, what, took.Seconds(), (after.cpu-before.cpu).Seconds(), float64(after.written-before.written)/1e6, float64(after.rss)/1e6))
		return after.written - before.written, nil
	}
	all, err := apply("large", most, "")
	if err != nil {
		return r, err
	}
	one, err := apply("large", most, "192.0.2.1")
	if err != nil {
		return r, err
	}
	began := time.Now()
	if _, err := m.Run(ctx, "get", "tenant", "large", "-o", "yaml"); err != nil {
		return r, err
	}
	r.text = append(r.text, fmt.Sprintf("get tenant large -o yaml: %.1f s", time.Since(began).Seconds()))
	for i := range others {
		if _, err := apply(fmt.Sprintf("other-%d", i), further, ""); err != nil {
			return r, err
		}
	}
	before, after, err := idleUsage(ctx, p.Pid())
	if err != nil {
		return r, err
	}
	r.text = append(r.text, fmt.Sprintf("%d devices, none watched, in %s: %.1f %% of a core, %.0f MB resident",
		most+others*further, idleFor, (after.cpu-before.cpu).Seconds()/idleFor.Seconds()*100, float64(after.rss)/1e6))
	r.got, r.ok = fmt.Sprintf("%.1f of %.1f MB", float64(one)/1e6, float64(all)/1e6), one*10 <= all
	return r, nil
}

// unwatched is a tenant whose poller never comes. changed is the address of one of
// its devices.
func unwatched(id string, n int, changed string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: midplane/v1\nkind: Tenant\nid: %s\nquota: {storage: 256MiB}\nsites:\n  - id: syd\n    pollers: [{id: syd-01}]\n    devices:\n", id)
	for i := range n {
		address := fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
		if i == n/2 && changed != "" {
			address = changed
		}
		fmt.Fprintf(&b, "      - {id: r%05d, name: Router %d, address: %s, checks: [{name: ssh, collector: tcp, interval: 1m, params: {port: 22}}]}\n", i, i, address)
	}
	return b.String()
}
