package registry

import (
	"context"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// ResendKey is where STATUS keeps for which devices a poller is to send all states
// again, and which messages once more: []api.Resend, the newest last.
func ResendKey(tenant, poller string) string { return "resend." + tenant + "." + poller }

const (
	// resendFor is how long a request is kept: a poller that was away for longer is
	// asked again when it is back.
	resendFor = 15 * time.Minute
	// resendOnce is for how long requests for the same are one: several
	// primaries may find the same missing.
	resendOnce = 10 * time.Second
	// resendWithin is how long a request may wait for this node's copy when others
	// change the key too.
	resendWithin = 2 * time.Second
)

// Resends returns what is kept for a poller.
func (r *Registry) Resends(tenant, poller string, now time.Time) []api.Resend {
	kept, _, _ := Get[[]api.Resend](r, ResendKey(tenant, poller))
	return slices.DeleteFunc(kept, func(a api.Resend) bool { return now.Sub(a.Asked) > resendFor })
}

// AskResend keeps what a poller is to send again. It returns false when that was asked
// a moment ago, and nothing is new.
func (r *Registry) AskResend(ctx context.Context, tenant, poller string, want []api.Resend, now time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, resendWithin)
	defer cancel()
	key := ResendKey(tenant, poller)
	for {
		e, _ := r.Status.Get(key) // before what is kept is read: a change in between is a conflict
		next, fresh := addResends(r.Resends(tenant, poller, now), want, now)
		if !fresh {
			return false, nil
		}
		_, err := r.CASStatus(ctx, key, next, e.Revision)
		if !fault.Is(err, fault.Conflict) {
			return err == nil, err
		}
		if err := r.waitOther(ctx, key, e.Revision); err != nil {
			return false, err
		}
	}
}

// waitOther waits until this node's copy of a key is another one.
func (r *Registry) waitOther(ctx context.Context, key string, revision uint64) error {
	for {
		_, changed := r.Status.Revision()
		if e, _ := r.Status.Get(key); e.Revision != revision {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, ctx.Err(), "the node's copy of %s is behind", key)
		}
	}
}

// what is what a request asks for, whenever it does.
type what struct {
	device   event.Entity
	messages api.MessageRange
}

func whatOf(a api.Resend) what {
	if a.Messages != nil {
		return what{messages: *a.Messages}
	}
	return what{device: a.Device}
}

// addResends adds to what is kept what is asked for now, of which the newest
// api.MaxResend stay.
func addResends(kept, want []api.Resend, now time.Time) (next []api.Resend, fresh bool) {
	at := map[what]time.Time{}
	for _, a := range kept {
		at[whatOf(a)] = a.Asked
	}
	ask := map[what]bool{}
	var added []api.Resend
	for _, a := range want {
		k := whatOf(a)
		if was, known := at[k]; !ask[k] && (!known || now.Sub(was) >= resendOnce) {
			ask[k], a.Asked = true, now
			added = append(added, a)
		}
	}
	kept = slices.DeleteFunc(kept, func(a api.Resend) bool { return ask[whatOf(a)] })
	next = append(kept, added...)
	return next[max(0, len(next)-api.MaxResend):], len(added) > 0
}
