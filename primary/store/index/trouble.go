package index

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// check takes what counts of a check now.
func (t *tenant) check(site event.Site, entity event.Entity, data []byte) {
	var c struct {
		Status string `json:"status"`
	}
	_ = json.Unmarshal(data, &c) // as rows are made: what there is counts
	status := cmp.Or(c.Status, event.CheckUnknown)
	key := checkKey{site, entity}
	if status == event.CheckOK {
		delete(t.checks, key)
		return
	}
	key.entity = event.Entity(strings.Clone(string(entity))) // not a part of a whole message
	t.checks[key] = status
}

// shown reports whether a check is in lists: it is not when its device was removed.
func (t *tenant) shown(key checkKey) bool {
	d := t.devices[fold.DeviceKey{Site: key.site, Device: key.entity.Device()}]
	return d == nil || !d.facets.Removed
}

// Checks returns where the checks are that have the status of a request, which is
// not ok, in its scope: by tenant, site and id, those behind after and at most limit
// of them.
func (x *Index) Checks(req api.ListRequest, after store.Place, limit int) (found []store.Place) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	scope := NewScope(req)
	for _, t := range x.among(scope.tenant) {
		for key, is := range t.checks {
			place := store.Place{Tenant: t.name, Site: string(key.site), ID: string(key.entity)}
			if is == req.Status && place.Behind(after) && scope.Has(place.Tenant, place.Site, place.ID) && t.shown(key) {
				found = append(found, place)
			}
		}
	}
	slices.SortFunc(found, func(a, b store.Place) int { return a.Compare(b) })
	return found[:min(limit, len(found))]
}

// Counts returns how many devices of each tenant have which status.
func (x *Index) Counts() map[string]api.DeviceCounts {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := map[string]api.DeviceCounts{}
	for _, t := range x.among("") {
		var c api.DeviceCounts
		for _, d := range t.sorted {
			switch {
			case !d.facets.Shown():
			case d.status == event.StatusUp:
				c.Up++
			case d.status == event.StatusDown:
				c.Down++
			default:
				c.Unknown++
			}
		}
		out[t.name] = c
	}
	return out
}

// Sites returns, by tenant, the sites where a device is down or a check is not ok.
func (x *Index) Sites() map[string][]api.SiteReport {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := map[string][]api.SiteReport{}
	for _, t := range x.among("") {
		sites := map[string]*api.SiteReport{}
		at := func(site string) *api.SiteReport {
			if sites[site] == nil {
				sites[site] = &api.SiteReport{Site: site, Down: nothing(), Critical: nothing(), Warning: nothing()}
			}
			return sites[site]
		}
		for _, d := range t.sorted {
			if d.status == event.StatusDown && d.facets.Shown() {
				add(&at(d.site).Down, d.id)
			}
		}
		for key, status := range t.checks {
			switch {
			case !t.shown(key):
			case status == event.CheckCritical:
				add(&at(string(key.site)).Critical, string(key.entity))
			case status == event.CheckWarning:
				add(&at(string(key.site)).Warning, string(key.entity))
			}
		}
		for _, site := range slices.Sorted(maps.Keys(sites)) {
			out[t.name] = append(out[t.name], *sites[site])
		}
	}
	return out
}

func nothing() api.Found { return api.Found{Names: []string{}} }

// add counts one more, and keeps the first names.
func add(f *api.Found, name string) {
	f.Count++
	if at, _ := slices.BinarySearch(f.Names, name); at < store.NamesShown {
		f.Names = slices.Insert(f.Names, at, name)
		f.Names = f.Names[:min(len(f.Names), store.NamesShown)]
	}
}
