package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"midplane/api"
	"midplane/internal/testcluster"
)

// machine builds the program and gives it a folder of its own.
func machine(ctx context.Context) (*testcluster.Machine, func(), error) {
	dir, err := os.MkdirTemp("", "midplane-bench-")
	if err != nil {
		return nil, nil, err
	}
	bin, err := testcluster.Build(ctx, dir)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, nil, err
	}
	m := testcluster.NewMachine(bin, dir)
	return m, func() { m.StopAll(); _ = os.RemoveAll(dir) }, nil
}

// startUp starts "midplane up" on free ports, in a folder of its own.
func startUp(ctx context.Context, m *testcluster.Machine, name string) error {
	_, err := m.Start(name, "up", "--data", filepath.Join(m.Dir, name), "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0")
	return err
}

// startTime measures from the start of "midplane up" on a fresh machine to the
// first device that is up in "midplane get devices".
func startTime(ctx context.Context, o options) (result, error) {
	const floor = 10 * time.Second
	m, stop, err := machine(ctx)
	if err != nil {
		return result{}, err
	}
	defer stop()
	r := result{floor: "≤ 10 s", ok: true}
	var times []float64
	for round := range min(o.rounds, 3) {
		began := time.Now()
		if err := startUp(ctx, m, fmt.Sprintf("up%d", round)); err != nil {
			return r, err
		}
		limit, cancel := context.WithTimeout(ctx, time.Minute)
		err := m.Await(limit, func(ctx context.Context) error { return anyUp(ctx, m) })
		cancel()
		if err != nil {
			return r, fmt.Errorf("%w\n%s", err, m.Log(fmt.Sprintf("up%d", round)))
		}
		took := time.Since(began)
		times = append(times, took.Seconds())
		r.ok = r.ok && took <= floor
		m.StopAll()
		_ = os.RemoveAll(filepath.Join(m.Dir, "config")) // a fresh machine has no context
	}
	r.text = append(r.text, fmt.Sprintf("first device up after %s s", spread(times, "%.1f")))
	r.got = fmt.Sprintf("%.1f s", median(times))
	return r, nil
}

func anyUp(ctx context.Context, m *testcluster.Machine) error {
	var devices []api.Device
	if err := m.Get(ctx, &devices, "devices"); err != nil {
		return err
	}
	for _, d := range devices {
		if d.Status == "up" {
			return nil
		}
	}
	return fmt.Errorf("none of %d devices is up", len(devices))
}

// applyTime measures "midplane apply" of a tenant of two sites and 50 devices,
// to Ready, on a running cluster.
func applyTime(ctx context.Context, o options) (result, error) {
	const floor = 3.0
	m, stop, err := machine(ctx)
	if err != nil {
		return result{}, err
	}
	defer stop()
	r := result{floor: "≤ 3 s"}
	if err := startUp(ctx, m, "up"); err != nil {
		return r, err
	}
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := m.Await(limit, func(ctx context.Context) error { return anyUp(ctx, m) }); err != nil {
		return r, fmt.Errorf("%w\n%s", err, m.Log("up"))
	}
	var times []float64
	for round := range o.rounds {
		file := filepath.Join(m.Dir, fmt.Sprintf("t%d.yaml", round))
		if err := os.WriteFile(file, []byte(fiftyDevices(fmt.Sprintf("fifty-%d", round))), 0o600); err != nil {
			return r, err
		}
		began := time.Now()
		if _, err := m.Run(ctx, "apply", "-f", file); err != nil {
			return r, err
		}
		times = append(times, time.Since(began).Seconds())
	}
	r.text = append(r.text, fmt.Sprintf("apply to Ready, two sites and 50 devices: %s s", spread(times, "%.2f")))
	r.got, r.ok = fmt.Sprintf("%.2f s", median(times)), median(times) <= floor
	return r, nil
}

func fiftyDevices(id string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: midplane/v1\nkind: Tenant\nid: %s\nname: Fifty devices\nsites:\n", id)
	for s := range 2 {
		fmt.Fprintf(&b, "  - id: site-%d\n    name: Site %d\n    pollers:\n      - {id: poller-%d}\n    devices:\n", s, s, s)
		for d := range 25 {
			fmt.Fprintf(&b, "      - {id: r%d-%d, name: Router %d, address: 127.0.0.1}\n", s, d, d)
		}
	}
	return b.String()
}
