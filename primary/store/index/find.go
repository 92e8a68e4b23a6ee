package index

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// Devices returns where the devices are that a request asks for, in its order,
// those behind after and at most limit of them; and how many there are in all.
func (x *Index) Devices(req api.ListRequest, after store.Place, limit int) (found []store.Place, total int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	f := newFilter(req)
	for rank, status := range orderOf(req) {
		for _, t := range x.among(f.tenant) {
			for _, d := range f.candidates(t) {
				if status != "" && d.status != status || !f.matches(t, d) {
					continue
				}
				total++
				place := store.Place{Tenant: t.name, Site: d.site, ID: d.id, Rank: rank}
				if len(found) < limit && place.Behind(after) {
					found = append(found, place)
				}
			}
		}
	}
	return found, total
}

// orderOf is the statuses that a list goes through one after the other; "" is all
// at once.
func orderOf(req api.ListRequest) []string {
	if req.Order == api.OrderStatus {
		return api.DeviceStatuses
	}
	return []string{""}
}

// among returns the tenants that one name stands for, or all, by name.
func (x *Index) among(only string) []*tenant {
	if only != "" {
		if t := x.tenants[event.Tenant(only)]; t != nil && !t.deleted {
			return []*tenant{t}
		}
		return nil
	}
	all := slices.DeleteFunc(slices.Collect(maps.Values(x.tenants)), func(t *tenant) bool { return t.deleted })
	slices.SortFunc(all, func(a, b *tenant) int { return cmp.Compare(a.name, b.name) })
	return all
}

// Scope is the part of a request that is about keys alone.
type Scope struct {
	tenant, site, name string
	prefix             [3]string // of tenant, site and id
	none               bool      // it contradicts itself
}

// NewScope returns the scope of a request.
func NewScope(req api.ListRequest) Scope {
	s := Scope{tenant: req.Tenant, site: req.Site, name: req.Name}
	begins := strings.SplitN(req.Prefix, "/", 3)
	last := len(begins) - 1
	for i, whole := range begins[:last] {
		at := []*string{&s.tenant, &s.site}[i]
		s.none = s.none || *at != "" && *at != whole
		*at = whole
	}
	s.prefix[last] = begins[last]
	return s
}

// Has reports whether a key is in the scope.
func (s *Scope) Has(tenant, site, id string) bool {
	switch {
	case s.none, s.tenant != "" && s.tenant != tenant, s.site != "" && s.site != site,
		!strings.HasPrefix(tenant, s.prefix[0]), !strings.HasPrefix(site, s.prefix[1]), !strings.HasPrefix(id, s.prefix[2]):
		return false
	}
	return s.name == "" || slices.Contains(api.IDs(tenant, site, s.name), id)
}

// filter is a request that is ready to be compared with devices.
type filter struct {
	Scope
	status, poller string
	words          []string
}

func newFilter(req api.ListRequest) *filter {
	return &filter{Scope: NewScope(req), status: req.Status, poller: req.Poller, words: api.Words(req.Search)}
}

// candidates are the devices of a tenant to look through, by site and id.
func (f *filter) candidates(t *tenant) []*device {
	if f.name == "" {
		return t.sorted
	}
	var out []*device
	for site := range t.sites {
		for _, id := range api.IDs(t.name, string(site), f.name) {
			if d := t.devices[fold.DeviceKey{Site: site, Device: event.Entity(id)}]; d != nil {
				out = append(out, d)
			}
		}
	}
	slices.SortFunc(out, byKey)
	return out
}

// matches reports whether a device is in the list that is asked for. It is what
// api.ListRequest.Matches says of the device's row.
func (f *filter) matches(t *tenant, d *device) bool {
	return d.facets.Shown() && (f.status == "" || d.status == f.status) && (f.poller == "" || d.poller == f.poller) &&
		f.Has(t.name, d.site, d.id) && api.HasWords(d.text, f.words)
}
