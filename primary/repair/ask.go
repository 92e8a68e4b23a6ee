package repair

import (
	"context"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/store"
)

// asks are the devices to ask for, by poller.
type asks map[poller][]store.DeviceLane

type poller struct {
	tenant   event.Tenant
	producer event.Producer
}

func (a asks) add(id store.DeviceLane) {
	p := poller{id.Tenant, id.Producer}
	a[p] = append(a[p], id)
}

// askWithin is how long one answer of the control plane may take.
const askWithin = 5 * time.Second

// ask sends one request per poller. While the control plane does not answer the rest
// waits for a later pass.
func (r *Repairer) ask(ctx context.Context, want asks) {
	answers := true
	for p, lanes := range want {
		now := lanes[:min(api.MaxResend, len(lanes))]
		if !answers {
			now = nil
		}
		for _, id := range lanes[len(now):] {
			r.again(id)
		}
		if len(now) == 0 {
			continue
		}
		err := r.request(ctx, p, now)
		if ctx.Err() != nil {
			return
		}
		if err != nil && fault.Retryable(err) {
			r.answers.Note(err)
			answers = false
			for _, id := range now {
				r.again(id)
			}
			continue
		}
		r.answers.Note(nil)
		if err != nil { // for instance since the tenant is gone: asking soon again would not help
			r.tel.Log.Debug("states are not asked for", "tenant", p.tenant, "producer", p.producer, "error", err)
		}
		for _, id := range now {
			r.requested(id)
		}
	}
}

func (r *Repairer) request(ctx context.Context, p poller, lanes []store.DeviceLane) error {
	req := api.ResendRequest{Tenant: string(p.tenant), Poller: string(p.producer)}
	for _, id := range lanes {
		req.Devices = append(req.Devices, id.Device)
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	return r.core.Do(ctx, api.CoreResend, req, nil)
}
