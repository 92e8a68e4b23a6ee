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
// again: []api.Resend, the newest last.
func ResendKey(tenant, poller string) string { return "resend." + tenant + "." + poller }

const (
	// resendFor is how long a request is kept: a poller that was away for longer is
	// asked again when it is back.
	resendFor = 15 * time.Minute
	// resendOnce is for how long requests for one device are the same: several
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

// AskResend keeps that a poller is to send all states of these devices again. It
// returns false when that was asked a moment ago, and nothing is new.
func (r *Registry) AskResend(ctx context.Context, tenant, poller string, devices []event.Entity, now time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, resendWithin)
	defer cancel()
	key := ResendKey(tenant, poller)
	for {
		e, _ := r.Status.Get(key) // before what is kept is read: a change in between is a conflict
		next, fresh := addResends(r.Resends(tenant, poller, now), devices, now)
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

// addResends adds devices to what is kept, of which the newest api.MaxResend stay.
func addResends(kept []api.Resend, devices []event.Entity, now time.Time) (next []api.Resend, fresh bool) {
	at := map[event.Entity]time.Time{}
	for _, a := range kept {
		at[a.Device] = a.Asked
	}
	ask := map[event.Entity]bool{}
	var added []api.Resend
	for _, d := range devices {
		if was, known := at[d]; !ask[d] && (!known || now.Sub(was) >= resendOnce) {
			ask[d] = true
			added = append(added, api.Resend{Device: d, Asked: now})
		}
	}
	kept = slices.DeleteFunc(kept, func(a api.Resend) bool { return ask[a.Device] })
	next = append(kept, added...)
	return next[max(0, len(next)-api.MaxResend):], len(added) > 0
}
