package console

import (
	"context"
	"net/http"
	"sync"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// serveDevice answers GET /api/v1/devices/{tenant}/{site}/{device}. A slash in
// a device's id is written %2F.
func (v *views) serveDevice(w http.ResponseWriter, r *http.Request) {
	ref := api.DeviceRef{Tenant: r.PathValue("tenant"), Site: r.PathValue("site"), Device: r.PathValue("device")}
	err := event.CheckName("tenant", ref.Tenant)
	if err == nil && ref.Site != string(event.NoSite) {
		err = event.CheckName("site", ref.Site)
	}
	if err == nil {
		err = event.CheckEntity(event.Entity(ref.Device))
	}
	if err == nil {
		_, err = readParams(r.URL, time.Now())
	}
	if err == nil {
		err = v.gate.confine(r, &ref.Tenant)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	var detail api.DeviceDetail
	if err := v.src.Query(ctx, api.DeviceGet, ref, &detail); err != nil {
		writeError(w, err)
		return
	}
	if !mine(ctx, detail.Device.Tenant) {
		writeError(w, fault.New(fault.NotFound, "there is no such device"))
		return
	}
	for i := range detail.Events {
		if err := v.positions.hide(ctx, &detail.Events[i]); err != nil {
			writeError(w, err)
			return
		}
	}
	neverNull(&detail)
	writeJSON(w, http.StatusOK, detail)
}

// Status is the body of GET /api/v1/status. What did not answer is left out,
// and Errors says why. Problems is everything that is wrong, most urgent first.
type Status struct {
	Cluster  *api.ClusterStatus `json:"cluster,omitempty"`
	Primary  *api.PrimaryReport `json:"primary,omitempty"`
	Problems []api.Problem      `json:"problems"`
	Errors   []StatusError      `json:"errors"`
}

// facts is what a status has to be judged by.
func (s Status) facts() api.Facts {
	f := api.Facts{Cluster: s.Cluster, Primary: s.Primary}
	for _, e := range s.Errors {
		switch e.Source {
		case sourceCluster:
			f.ClusterTrouble = e.Message
		case sourcePrimary:
			f.PrimaryTrouble = e.Message
		}
	}
	return f
}

// The halves of a status.
const (
	sourceCluster = "cluster"
	sourcePrimary = "primary"
)

// StatusError says why a part of Status is missing.
type StatusError struct {
	Source string `json:"source"` // cluster or primary
	problem
}

// serveStatus asks both doors at once. One that does not answer must not hide
// the other: this is what people look at when something is wrong.
func (v *views) serveStatus(w http.ResponseWriter, r *http.Request) {
	if _, err := readParams(r.URL, time.Now()); err != nil {
		writeError(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	var cluster api.ClusterStatus
	var primary api.PrimaryReport
	var clusterErr, primaryErr error
	var both sync.WaitGroup
	both.Go(func() { clusterErr = v.src.Admin(ctx, api.NodeStatus, struct{}{}, &cluster) })
	both.Go(func() { primaryErr = v.src.Query(ctx, api.PrimaryStatus, struct{}{}, &primary) })
	both.Wait()
	if clusterErr != nil && primaryErr != nil {
		if only(ctx) != "" {
			clusterErr = fault.New(fault.KindOf(clusterErr), "the cluster does not answer")
		}
		writeError(w, clusterErr)
		return
	}
	status := Status{Errors: []StatusError{}}
	if clusterErr == nil {
		neverNull(&cluster)
		status.Cluster = &cluster
	} else {
		status.Errors = append(status.Errors, StatusError{sourceCluster, problemOf(clusterErr)})
	}
	if primaryErr == nil {
		neverNull(&primary)
		status.Primary = &primary
	} else {
		status.Errors = append(status.Errors, StatusError{sourcePrimary, problemOf(primaryErr)})
	}
	status.Problems = api.Health(status.facts())
	if own := only(ctx); own != "" {
		status = status.confined(own)
	}
	writeJSON(w, http.StatusOK, status)
}
