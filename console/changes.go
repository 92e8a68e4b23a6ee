package console

import (
	"context"
	"net/http"
	"slices"
	"time"

	"midplane/api"
)

// serveChanges answers GET /api/v1/devices/changes: which devices of a list have
// changed since a position. Without "since", or when it cannot be said any more,
// "again" is true: then list the devices, and ask since "position" from then on.
func (v *views) serveChanges(w http.ResponseWriter, r *http.Request) {
	p, err := readParams(r.URL, time.Now(), "tenant", "site", "status", "poller", "q", sincePosition, "limit")
	if err == nil {
		err = v.gate.confine(r, &p.tenant)
	}
	if err == nil {
		p.position, err = v.positions.realChange(r.Context(), p.position)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	var got api.Changes
	err = v.src.Query(ctx, api.DeviceChanges, api.ChangesRequest{ListRequest: p.list(p.limit, ""), Since: p.position}, &got)
	if err == nil {
		err = v.hideChanges(ctx, &got)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	neverNull(&got)
	writeJSON(w, http.StatusOK, got)
}

// hideChanges leaves in an answer what its reader may see.
func (v *views) hideChanges(ctx context.Context, c *api.Changes) (err error) {
	all := len(c.Items) + len(c.Removed)
	c.Items = slices.DeleteFunc(c.Items, func(d api.Device) bool { return !mine(ctx, d.Tenant) })
	c.Removed = slices.DeleteFunc(c.Removed, func(d api.DeviceRef) bool { return !mine(ctx, d.Tenant) })
	if len(c.Items)+len(c.Removed) != all {
		c.Total = 0 // it counts others' rows
	}
	c.Position, err = v.positions.shownChange(ctx, c.Position)
	return err
}
