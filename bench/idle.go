package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"midplane/api"
	"midplane/internal/ports"
	"midplane/internal/testcluster"
)

const (
	idleTenants = 300
	idleSettles = time.Minute
	idleFor     = time.Minute
	// The floors, for idleTenants.
	idleCores = 0.15
	idleBytes = 1.2e9
)

// idleCost measures what tenants cost that do nothing: "midplane up", which is
// three nodes, the primary and a poller per tenant in one process. Each tenant has
// one device that is looked at once an hour.
func idleCost(ctx context.Context, o options) (result, error) {
	n := idleTenants
	if o.short {
		n = 30
	}
	if o.tenants > 0 {
		n = o.tenants
	}
	r := result{floor: fmt.Sprintf("with %d tenants ≤ %.0f %% of a core and ≤ %.1f GB", idleTenants, idleCores*100, idleBytes/1e9)}
	m, stop, err := machine(ctx)
	if err != nil {
		return r, err
	}
	defer stop()
	files := filepath.Join(m.Dir, "tenants")
	if err := os.Mkdir(files, 0o700); err != nil {
		return r, err
	}
	for i := range n {
		id := fmt.Sprintf("t%04d", i)
		if err := os.WriteFile(filepath.Join(files, id+".yaml"), []byte(idleTenant(id)), 0o600); err != nil {
			return r, err
		}
	}
	profiles, err := ports.Free(1)
	if err != nil {
		return r, err
	}
	at := fmt.Sprintf("127.0.0.1:%d", profiles[0])
	began := time.Now()
	p, err := m.Start("up", "up", "--data", filepath.Join(m.Dir, "data"), "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0", "--pprof", at, "--tenants", files,
		"--overcommit") // what they may keep is more than a disk has, and they keep next to nothing
	if err != nil {
		return r, err
	}
	limit, cancel := context.WithTimeout(ctx, 10*time.Minute+time.Duration(n)*time.Second)
	defer cancel()
	if err := m.Await(limit, func(ctx context.Context) error {
		if p.Ended() {
			cancel()
			return errors.New("the program has ended")
		}
		return allUp(ctx, m, n)
	}); err != nil {
		return r, fmt.Errorf("%w\n%s", err, m.Log("up"))
	}
	ready := time.Since(began)
	onboarding, err := usageOf(p.Pid())
	if err != nil {
		return r, err
	}
	r.text = append(r.text, fmt.Sprintf("%d tenants onboarded, all devices up after %.0f s, %.0f ms and %.0f ms of CPU each; %.0f MB resident",
		n, ready.Seconds(), ready.Seconds()*1000/float64(n), float64(onboarding.cpu.Milliseconds())/float64(n), float64(onboarding.rss)/1e6))
	if err := pause(ctx, idleSettles); err != nil { // what began with the tenants comes to its end
		return r, err
	}
	before, after, err := idleUsage(ctx, p.Pid())
	if err != nil {
		return r, err
	}
	goroutines, err := goroutinesAt(ctx, at)
	if err != nil {
		return r, err
	}
	cores := (after.cpu - before.cpu).Seconds() / idleFor.Seconds()
	r.text = append(r.text, fmt.Sprintf("then in %s: %.1f %% of a core (%.2f %% a tenant), %.0f MB resident (%.1f MB a tenant), %.0f KB/s written to disk, %d goroutines (%d a tenant), %d open files",
		idleFor, cores*100, cores*100/float64(n), float64(after.rss)/1e6, float64(after.rss)/1e6/float64(n),
		float64(after.written-before.written)/idleFor.Seconds()/1e3, goroutines, goroutines/n, after.files))
	r.got = fmt.Sprintf("%d tenants: %.1f %% of a core, %.2f GB", n, cores*100, float64(after.rss)/1e9)
	r.ok = cores <= idleCores && float64(after.rss) <= idleBytes
	return r, nil
}

func allUp(ctx context.Context, m *testcluster.Machine, n int) error {
	var devices []api.Device
	if err := m.Get(ctx, &devices, "devices"); err != nil {
		return err
	}
	up := 0
	for _, d := range devices {
		if d.Status == "up" {
			up++
		}
	}
	if up < n {
		return fmt.Errorf("%d of %d devices are up", up, n)
	}
	return nil
}

// goroutinesAt asks a process that serves its profiles.
func goroutinesAt(ctx context.Context, addr string) (n int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/debug/pprof/goroutine?debug=1", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = fmt.Fscanf(resp.Body, "goroutine profile: total %d", &n)
	return n, err
}

// idleUsage is what a process has used before and after idleFor.
func idleUsage(ctx context.Context, pid int) (before, after usage, err error) {
	if before, err = usageOf(pid); err != nil {
		return before, after, err
	}
	if err = pause(ctx, idleFor); err != nil {
		return before, after, err
	}
	after, err = usageOf(pid)
	return before, after, err
}

func idleTenant(id string) string {
	return fmt.Sprintf(`apiVersion: midplane/v1
kind: Tenant
id: %s
quota: {storage: 32MiB}
sites:
  - id: syd
    pollers: [{id: syd-01, embedded: true}]
    devices:
      - id: this-host
        address: 127.0.0.1
        checks: [{name: host, collector: host, interval: 1h}]
`, id)
}

// usage is what a process has used.
type usage struct {
	cpu          time.Duration
	rss, written int64
	files        int // open
}

// usageOf reads what Linux knows of a process.
func usageOf(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // from the third on
	const utime, stime, rss = 14 - 3, 15 - 3, 24 - 3
	var ticks, pages int64
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return u, err
		}
		ticks += n
	}
	if pages, err = strconv.ParseInt(fields[rss], 10, 64); err != nil {
		return u, err
	}
	u.cpu, u.rss = time.Duration(ticks)*10*time.Millisecond, pages*int64(os.Getpagesize())
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return u, err
	}
	u.files = len(open)
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(io)) {
		if v, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			u.written, err = strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
	}
	return u, err
}
