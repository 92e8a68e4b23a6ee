package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/platform/control"
	"midplane/streams"
)

// unboundedRate measures what a limit of the stream's own costs: msg/s through the
// door and straight to the stream, with MaxBytes ÷ without, in interleaved rounds on
// one cluster. The server sums up the subjects that are in flight for every message,
// so it is measured with one subject and with many.
func unboundedRate(ctx context.Context, o options) (result, error) {
	w, err := newWorld(ctx, testcluster.Options{Pace: control.Pace{Check: time.Hour}}) // the control plane would undo it
	if err != nil {
		return result{}, err
	}
	defer w.close()
	bound, stop, err := w.bounds(ctx)
	if err != nil {
		return result{}, err
	}
	defer stop()
	r := result{floor: "none", ok: true}
	for _, subjects := range []int{1, 1000, 3000} {
		var raws, doors, unboundedRatio, boundedRatio []float64
		for round := range o.rounds + 1 {
			var raw, door [2]measure
			for i, bounded := range []bool{true, false} {
				if err := bound(bounded); err != nil {
					return r, err
				}
				name := fmt.Sprintf("s%d-%d-%t", subjects, round, bounded)
				for into, order := range map[*measure]order{&raw[i]: w.straight(name, 256, o.count, 4000), &door[i]: w.through(name, 256, o.count, 4000)} {
					order.Entities = subjects
					if *into, err = measured(ctx, order); err != nil {
						return r, err
					}
				}
			}
			if round == 0 {
				continue // warms files and caches
			}
			raws, doors = append(raws, raw[1].rate/raw[0].rate), append(doors, door[1].rate/door[0].rate)
			boundedRatio, unboundedRatio = append(boundedRatio, door[0].rate/raw[0].rate), append(unboundedRatio, door[1].rate/raw[1].rate)
			r.text = append(r.text, fmt.Sprintf("%4d subjects round %d: with MaxBytes raw %6.0f/s, door %6.0f/s (CPU a message %.0f µs); without raw %6.0f/s, door %6.0f/s (%.0f µs)",
				subjects, round, raw[0].rate, door[0].rate, door[0].cpu*1e6, raw[1].rate, door[1].rate, door[1].cpu*1e6))
		}
		r.text = append(r.text, fmt.Sprintf("%4d subjects: without ÷ with MaxBytes: raw %s, door %s; door ÷ raw with %s, without %s",
			subjects, spread(raws, "%.2f"), spread(doors, "%.2f"), spread(boundedRatio, "%.2f"), spread(unboundedRatio, "%.2f")))
		r.got += fmt.Sprintf("door × %.2f with %d subjects, ", median(doors), subjects)
	}
	r.got = r.got[:len(r.got)-2]
	return r, nil
}

// bounds returns what gives EVENTS a limit of its own and takes it away.
func (w *world) bounds(ctx context.Context) (bound func(bool) error, stop func(), err error) {
	nc, err := w.cluster.Connect(w.raw.Creds, w.raw.User)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.NewWithAPIPrefix(nc, w.raw.Capability.API())
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return func(bounded bool) error { return limitEvents(ctx, js, bounded) }, nc.Close, nil
}

func limitEvents(ctx context.Context, js jetstream.JetStream, bounded bool) error {
	s, err := js.Stream(ctx, event.StreamEvents)
	if err != nil {
		return err
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = -1
	if bounded {
		cfg.MaxBytes = streams.Split(8 << 30).Events
	}
	_, err = js.UpdateStream(ctx, cfg)
	return err
}
