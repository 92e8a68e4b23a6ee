package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/internal/testcluster"
)

// tenantScaling measures what one publish through the door costs while the
// cluster holds 1, 100 and 300 tenants, and how long onboarding them took.
func tenantScaling(ctx context.Context, o options) (result, error) {
	const floor = 0.85
	steps := []int{1, 100, 300}
	if o.short {
		steps = []int{1, 10, 20}
	}
	w, err := newWorld(ctx, testcluster.Options{})
	if err != nil {
		return result{}, err
	}
	defer w.close()
	r := result{floor: "flat within 15 %"}
	var base float64
	have := 1
	for _, n := range steps {
		began := time.Now()
		if err := w.onboard(ctx, have, n); err != nil {
			return r, err
		}
		took := time.Since(began)
		var rates, ratios []float64
		for round := range o.rounds {
			name := fmt.Sprintf("t%d-%d", n, round)
			raw, err := measured(ctx, w.straight(name, 256, o.count/2, 4000))
			if err != nil {
				return r, err
			}
			door, err := measured(ctx, w.through(name, 256, o.count/2, 4000))
			if err != nil {
				return r, err
			}
			rates, ratios = append(rates, door.rate), append(ratios, door.rate/raw.rate)
		}
		line := fmt.Sprintf("%3d tenants: door %s msg/s, ÷ raw %s", n, spread(rates, "%.0f"), spread(ratios, "%.2f"))
		if n > have {
			line += fmt.Sprintf("; onboarding %d took %.1f s, %.0f ms each", n-have, took.Seconds(), took.Seconds()*1000/float64(n-have))
		}
		r.text = append(r.text, line)
		if base == 0 {
			base = median(ratios)
		}
		r.got, r.ok = fmt.Sprintf("door ÷ raw with %d tenants is %.2f of that with one", n, median(ratios)/base), median(ratios)/base >= floor
		have = n
	}
	return r, nil
}

// onboard adds tenants from have up to n, eight at a time.
func (w *world) onboard(ctx context.Context, have, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := have; i < n; i++ {
		g.Go(func() error {
			spec := testcluster.Tenant(fmt.Sprintf("t%03d", i))
			spec.Quota.Storage = 32 << 20
			return w.cluster.Apply(ctx, spec, api.AccountPushed, api.StreamsReady, api.IngressOpen)
		})
	}
	return g.Wait()
}
