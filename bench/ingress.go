package main

import (
	"context"
	"fmt"

	"midplane/internal/testcluster"
)

// ingressRate measures msg/s through the door with full validation ÷ msg/s
// straight to the same stream: same cluster, interleaved rounds, 4,000 in
// flight, message ids on both sides, sync always, the producer in a process of
// its own.
func ingressRate(ctx context.Context, o options) (result, error) {
	const floor = 0.35
	w, err := newWorld(ctx, testcluster.Options{})
	if err != nil {
		return result{}, err
	}
	defer w.close()
	r := result{floor: fmt.Sprintf("≥ %.2f at 256 B and 1 KB", floor), ok: true}
	for _, size := range []int{256, 1024} {
		var ratios, cpuRatios, through, straight []float64
		for round := range o.rounds + 1 {
			name := fmt.Sprintf("%d-%d", size, round)
			raw, err := measured(ctx, w.straight(name, size, o.count, 4000))
			if err != nil {
				return r, err
			}
			door, err := measured(ctx, w.through(name, size, o.count, 4000))
			if err != nil {
				return r, err
			}
			if round == 0 {
				continue // warms files and caches
			}
			straight, through = append(straight, raw.rate), append(through, door.rate)
			ratios, cpuRatios = append(ratios, door.rate/raw.rate), append(cpuRatios, door.cpu/raw.cpu)
			r.text = append(r.text, fmt.Sprintf("%4d B round %d: raw %6.0f/s %4.0f µs CPU a message, door %6.0f/s %4.0f µs; ratio %.2f",
				size, round, raw.rate, raw.cpu*1e6, door.rate, door.cpu*1e6, door.rate/raw.rate))
		}
		r.text = append(r.text,
			fmt.Sprintf("%4d B: door ÷ raw %s; CPU a message, door ÷ raw %s", size, spread(ratios, "%.2f"), spread(cpuRatios, "%.2f")),
			fmt.Sprintf("%4d B: raw %s, door %s msg/s", size, spread(straight, "%.0f"), spread(through, "%.0f")))
		r.got += fmt.Sprintf("%.2f at %d B, ", median(ratios), size)
		r.ok = r.ok && median(ratios) >= floor
	}
	r.got = r.got[:len(r.got)-2] + " of raw"
	return r, nil
}

// measure is one producer's run: the rate, and the CPU of cluster and producer
// together per message.
type measure struct{ rate, cpu float64 }

func measured(ctx context.Context, o order) (measure, error) {
	before := cpu()
	rep, err := produce(ctx, o)
	if err != nil {
		return measure{}, err
	}
	used := (cpu() - before).Seconds() + rep.CPU
	return measure{rate: float64(o.Count) / rep.Seconds, cpu: used / float64(o.Count)}, nil
}

// ingressLatency compares one synchronous publish at a time, straight and
// through the door in turn.
func ingressLatency(ctx context.Context, o options) (result, error) {
	const floor = 1.2
	w, err := newWorld(ctx, testcluster.Options{})
	if err != nil {
		return result{}, err
	}
	defer w.close()
	count := min(o.count, 2000)
	var p50s, p99s []float64
	r := result{floor: fmt.Sprintf("p50 ≤ %.1f × raw", floor)}
	for round := range o.rounds + 1 {
		name := fmt.Sprintf("l%d", round)
		pair := w.straight(name, 256, count, 1)
		door := w.through(name, 256, count, 1)
		pair.Beside = &door
		rep, err := produce(ctx, pair)
		if err != nil {
			return r, err
		}
		if round == 0 {
			continue // warms files and caches
		}
		a50, b50 := percentile(rep.Latencies, 50), percentile(rep.Beside, 50)
		a99, b99 := percentile(rep.Latencies, 99), percentile(rep.Beside, 99)
		p50s, p99s = append(p50s, b50/a50), append(p99s, b99/a99)
		r.text = append(r.text, fmt.Sprintf("round %d: raw p50 %.2f p99 %.2f ms, door p50 %.2f p99 %.2f ms", round, a50, a99, b50, b99))
	}
	r.text = append(r.text, fmt.Sprintf("door ÷ raw: p50 %s, p99 %s", spread(p50s, "%.2f"), spread(p99s, "%.2f")))
	r.got, r.ok = fmt.Sprintf("p50 %.2f ×, p99 %.2f × raw", median(p50s), median(p99s)), median(p50s) <= floor
	return r, nil
}
