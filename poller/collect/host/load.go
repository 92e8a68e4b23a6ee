package host

import (
	"context"
	"math"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	hostinfo "github.com/shirou/gopsutil/v4/host"
	psload "github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
)

func load(ctx context.Context, t collect.Target) ([]event.Event, error) {
	busy, err := cpuPercent(ctx, min(sampleTime, t.Timeout/4))
	if err != nil {
		return nil, err
	}
	average, err := psload.AvgWithContext(ctx)
	if err != nil {
		return nil, err
	}
	memory, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, err
	}
	root, err := disk.UsageWithContext(ctx, "/")
	if err != nil {
		return nil, err
	}
	up, err := hostinfo.UptimeWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return []event.Event{collect.Metric(t.Device, event.TypeLoad, event.Load{
		CPU: busy, Load1: average.Load1, Load5: average.Load5, Load15: average.Load15,
		MemUsed: memory.Used, MemTotal: memory.Total,
		DiskUsed: root.Used, DiskTotal: root.Total, Uptime: up,
	})}, nil
}

// cpuPercent watches all processors for a while. The library's own way keeps
// the last reading in a variable of the process: two checks would spoil each
// other's.
func cpuPercent(ctx context.Context, d time.Duration) (float64, error) {
	before, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return 0, err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-timer.C:
	}
	after, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return 0, err
	}
	if len(before) == 0 || len(after) == 0 {
		return 0, fault.New(fault.Other, "the kernel tells no CPU times")
	}
	return percent(before[0], after[0]), nil
}

// percent is the share of the time between two readings that was not idle,
// 0 … 100 with two decimals. Waiting for a disk is idle: nothing computes.
func percent(before, after cpu.TimesStat) float64 {
	total := sum(after) - sum(before)
	idle := after.Idle + after.Iowait - before.Idle - before.Iowait
	if total <= 0 {
		return 0
	}
	p := 100 * (1 - idle/total)
	return math.Round(100*min(max(p, 0), 100)) / 100
}

// sum leaves out guest times, which the kernel counts as user times already.
func sum(t cpu.TimesStat) float64 {
	return t.User + t.Nice + t.System + t.Idle + t.Iowait + t.Irq + t.Softirq + t.Steal
}
