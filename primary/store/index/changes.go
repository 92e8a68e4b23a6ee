package index

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"midplane/api"
	"midplane/primary/store"
)

// Changes is which devices have changed since a position.
type Changes struct {
	Position string
	Again    bool // it is not known
	More     bool // there are later changes
	Items    []store.Place
	Removed  []store.Place // changed, and not among those that were asked for
	Total    int
}

// Changes returns what has changed since a position, the oldest changes first and
// at most limit of them. Of a device only its last change counts. A request for
// one tenant learns nothing of the others: its position moves with that tenant.
func (x *Index) Changes(req api.ListRequest, since string, limit int) (out Changes) {
	_, out.Total = x.Devices(req, store.Place{}, 0)
	x.mu.RLock()
	defer x.mu.RUnlock()
	f := newFilter(req)
	var end uint64
	from, known := x.read(since)
	type change struct {
		t *tenant
		d *device
	}
	var found []change
	for _, t := range x.reported(req.Tenant) {
		known = known && from >= t.floor
		end = max(end, t.floor)
		if t.newest != nil {
			end = max(end, t.newest.changed)
		}
		for d := t.newest; known && d != nil && d.changed > from; d = d.older {
			found = append(found, change{t, d})
		}
	}
	if !known {
		out.Position, out.Again = x.position(end), true
		return out
	}
	slices.SortFunc(found, func(a, b change) int { return cmp.Compare(a.d.changed, b.d.changed) })
	if len(found) > limit {
		found, out.More = found[:limit], true
		end = found[limit-1].d.changed
	}
	out.Position = x.position(max(from, end))
	for _, c := range found {
		place := store.Place{Tenant: c.t.name, Site: c.d.site, ID: c.d.id}
		if f.matches(c.t, c.d) {
			out.Items = append(out.Items, place)
		} else {
			out.Removed = append(out.Removed, place)
		}
	}
	return out
}

// reported are the tenants whose changes a request is about, deleted ones among
// them: that they were deleted is one.
func (x *Index) reported(only string) []*tenant {
	var out []*tenant
	for id, t := range x.tenants {
		if only == "" || only == string(id) {
			out = append(out, t)
		}
	}
	return out
}

func (x *Index) position(n uint64) string { return x.id + "." + strconv.FormatUint(n, 10) }

// read returns the change that a position stands for; ok is false when it is none
// of this index.
func (x *Index) read(position string) (n uint64, ok bool) {
	id, number, _ := strings.Cut(position, ".")
	n, err := strconv.ParseUint(number, 10, 63)
	return n, err == nil && id == x.id && n <= x.n
}
