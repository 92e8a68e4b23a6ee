package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"midplane/api"
	"midplane/telemetry"
)

// moments are when the phases of a run began.
type moments struct {
	started, steady, cut, opened, drained time.Time
}

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// patience is how long a phase is waited for whose floor is limit: what is late
// shows how late.
func patience(limit time.Duration) time.Duration { return limit * 3 / 2 }

// start measures from the pollers' first start until everything was seen.
func (w *loadWorld) start(ctx context.Context, f *loadFloors) error {
	w.when.started = time.Now()
	if err := w.startPollers(ctx); err != nil {
		return err
	}
	limit := w.size.seenWithin()
	var devices, checks int
	var took time.Duration
	for time.Since(w.when.started) < patience(limit) {
		if err := pause(ctx, 250*time.Millisecond); err != nil {
			return err
		}
		if w.reader.seen() < w.size.allChecks() {
			continue
		}
		var err error
		if devices, checks, err = w.inPrimary(ctx); err != nil {
			return err
		}
		if devices == w.size.allDevices() && checks == w.size.allChecks() {
			took = time.Since(w.when.started)
			break
		}
	}
	if took == 0 {
		var err error
		if devices, checks, err = w.inPrimary(ctx); err != nil {
			return err
		}
		f.judge(false, "start", "all seen within "+whole(limit), "after %s %d of %d devices are up and %d of %d checks ok in the primary, %d checks in STATE", whole(patience(limit)), devices, w.size.allDevices(), checks, w.size.allChecks(), w.reader.seen())
		return nil
	}
	f.judge(took <= limit, "start", "all seen within "+whole(limit), "%d devices up and %d checks ok in the primary after %.1f s", devices, checks, took.Seconds())
	return nil
}

// steady measures two intervals of work, the second and the third.
func (w *loadWorld) steady(ctx context.Context, f *loadFloors) error {
	if err := pause(ctx, time.Until(w.when.started.Add(w.size.settled()))); err != nil {
		return err
	}
	before, err := w.counted(ctx, telemetry.MetricIngressRefused)
	if err != nil {
		return err
	}
	w.when.steady = w.when.started.Add(w.size.interval)
	if late := time.Now(); late.After(w.when.steady) {
		w.when.steady = late
	}
	if err := pause(ctx, time.Until(w.when.steady.Add(2*w.size.interval))); err != nil {
		return err
	}
	now := time.Now()
	after, err := w.counted(ctx, telemetry.MetricIngressRefused)
	if err != nil {
		return err
	}
	refused, what := difference(before, after)
	f.judge(refused == 0, "refusals", "0 after the first "+whole(w.size.settled()), "%d%s", refused, what)
	depth, age, err := w.outboxes()
	if err != nil {
		return err
	}
	f.judge(age < liveWithin, "outbox, steady", fmt.Sprintf("its oldest is younger than %.0f s", liveWithin), "%d messages, the oldest of %.1f s", depth, age)
	w.judgeLag(f, w.when.steady, now)
	runs := w.targets.between(w.when.steady, now)
	factor := peak(runs) / max(average(runs), 1)
	f.judge(factor <= peakFactor, "peak of runs", fmt.Sprintf("≤ %.1f × average", peakFactor), "%.0f in the busiest second, %.1f on average: %.2f ×", peak(runs), average(runs), factor)
	rates := w.reader.received(w.when.steady, now)
	delays := w.reader.took(w.when.steady, now)
	f.note("         taken by the doors %.0f messages/s (busiest second %.0f) of the producers' %d, from seen to door %s; the pollers use %.2f CPU; %d connections were made since the start",
		average(rates), peak(rates), w.quota.ProducerMessageRate*w.size.pollers, spans(delays), w.busy(w.when.steady, now), w.proxy.connections())
	seen, counters, timing := w.reader.unchanged()
	f.note("         in one copy of its stream a heartbeat takes %d bytes, the counters of %d interfaces %d, a timing of a TCP check %d (means; a poll alone: bench unchanged)",
		seen, w.size.interfaces, counters, timing)
	return nil
}

// apart cuts the line, opens it, and measures how the pollers recover.
func (w *loadWorld) apart(ctx context.Context, f *loadFloors) error {
	before, err := w.counted(ctx, telemetry.MetricIngressRefused)
	if err != nil {
		return err
	}
	connections := w.proxy.connections()
	w.proxy.cut()
	w.when.cut = time.Now()
	if err := pause(ctx, w.size.outage); err != nil {
		return err
	}
	runs := w.targets.between(w.when.cut, time.Now())
	depth, age, err := w.outboxes()
	if err != nil {
		return err
	}
	f.note("         cut for %s: the pollers went on with %.1f runs/s; %d messages wait, the oldest of %.0f s", w.size.outage, average(runs), depth, age)
	w.when.opened = time.Now()
	if err := w.proxy.mend(); err != nil {
		return err
	}
	limit := w.size.drainWithin()
	for time.Since(w.when.opened) < patience(limit) && w.when.drained.IsZero() {
		if err := pause(ctx, sampleEvery/2); err != nil {
			return err
		}
		if w.empty() {
			w.when.drained = time.Now()
		}
	}
	if err := w.judgeDrain(f, limit); err != nil {
		return err
	}
	// Live data is judged over an interval at least, all of which has arrived.
	until := w.when.opened.Add(min(w.size.interval, limit))
	if w.when.drained.After(until) {
		until = w.when.drained
	}
	if err := pause(ctx, time.Until(until.Add(liveWithin*time.Second))); err != nil {
		return err
	}
	live := w.reader.took(w.when.opened, until)
	f.judge(!w.when.drained.IsZero() && len(live) > 0 && percentile(live, 99) <= liveWithin, "live data after the outage", fmt.Sprintf("p99 ≤ %.0f s from seen to door", liveWithin),
		"%s%s", spans(live), w.unknown())
	after, err := w.counted(ctx, telemetry.MetricIngressRefused)
	if err != nil {
		return err
	}
	refused, what := difference(before, after)
	rates := w.reader.received(w.when.opened, until)
	f.note("         while it drained the doors took %.0f messages/s (busiest second %.0f) of the producers' %d, and refused %d%s; %d connections were made",
		average(rates), peak(rates), w.quota.ProducerMessageRate*w.size.pollers, refused, what, w.proxy.connections()-connections)
	return nil
}

// judgeDrain judges how long the outboxes took to empty.
func (w *loadWorld) judgeDrain(f *loadFloors, limit time.Duration) error {
	floor := fmt.Sprintf("empty within %s of the reconnect", whole(limit))
	if w.when.drained.IsZero() {
		depth, age, err := w.outboxes()
		if err != nil {
			return err
		}
		f.judge(false, "drain", floor, "not within %s: %d messages wait, the oldest of %.0f s", whole(patience(limit)), depth, age)
		return nil
	}
	took := w.when.drained.Sub(w.when.opened)
	f.judge(took <= limit, "drain", floor, "%.1f s", took.Seconds())
	return nil
}

// unknown is what the delays leave out.
func (w *loadWorld) unknown() string {
	if w.when.drained.IsZero() {
		return " (what still waits is later, and not counted)"
	}
	return ""
}

// accounts compares what the streams took with what the pollers gave.
func (w *loadWorld) accounts(ctx context.Context, f *loadFloors) error {
	if err := w.stopPollers(); err != nil {
		return err
	}
	if err := w.caughtUp(ctx); err != nil {
		return err
	}
	r, err := w.reader.reckon()
	if err != nil {
		return err
	}
	var status api.PrimaryReport
	if err := w.query.Do(ctx, api.PrimaryStatus, struct{}{}, &status); err != nil {
		return err
	}
	for _, a := range status.Alarms {
		r.alarms = append(r.alarms, fmt.Sprintf("of the primary, %s: %s", a.Alarm, a.Message))
	}
	full := 0
	for reason, n := range r.givenUp {
		if reason != "superseded" {
			full += n
		}
	}
	f.judge(r.lost == 0 && full == 0, "nothing lost", "0 lost, 0 given up but superseded states",
		"%d messages read, %d lost, given up %v, %d twice (the primary drops the second)", r.messages, r.lost, r.givenUp, r.doubled)
	f.judge(len(r.alarms) == 0, "alarms", "0", "%d", len(r.alarms))
	for _, line := range append(r.first, r.alarms...) {
		f.note("         %s", line)
	}
	return nil
}

// spans shows how long messages took, in seconds.
func spans(v []float64) string {
	if len(v) == 0 {
		return "no message arrived"
	}
	return fmt.Sprintf("p50 %.2f s, p99 %.2f s, slowest %.2f s of %d messages", percentile(v, 50), percentile(v, 99), peak(v), len(v))
}

// difference is what was counted since, in all and by name.
func difference(before, after map[string]int64) (n int64, text string) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if d := after[name] - before[name]; d > 0 {
			n += d
			parts = append(parts, fmt.Sprintf("%s %d", name, d))
		}
	}
	if n == 0 {
		return 0, ""
	}
	return n, " (" + strings.Join(parts, ", ") + ")"
}
