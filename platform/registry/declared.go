package registry

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// Declared is what readers of a tenant know of its devices: what has been
// published as state.
type Declared struct {
	Revision uint64 `json:"revision"` // of the spec
	State    uint64 `json:"state"`    // incarnation of STATE: in a new one nothing is published yet
	// Devices is what was published, by "<site>/<device>". Of a spec in parts Parts
	// and Pollers say it instead: the parts, and who shared their devices out.
	Devices map[string]event.Declared       `json:"devices,omitempty"`
	Parts   map[event.Site][]string         `json:"parts,omitempty"`
	Pollers map[event.Site][]event.Producer `json:"pollers,omitempty"`
	Removed map[string]Removal              `json:"removed"` // until their subjects are purged
	// More are the names of the keys that hold the rest of Removed.
	More []string `json:"more,omitempty"`
}

// Removal is a device that is no longer declared.
type Removal struct {
	Site   event.Site   `json:"site"`
	Device event.Entity `json:"device"`
	Seq    uint64       `json:"seq"` // of the message in STATE that says so
}

// maxRemoved is how many removals are in one value.
const maxRemoved = 2000

// DeclaredKey is the key of STATUS that holds what is Declared.
func DeclaredKey(t event.Tenant) string { return "declared." + string(t) }

// RemovedPrefix begins the keys of STATUS that hold what does not fit beside it.
const RemovedPrefix = "removed."

func removedKey(t event.Tenant, name string) string { return RemovedPrefix + string(t) + "." + name }

// Declared returns what has been published of a tenant's devices, and the
// revision that says so.
func (r *Registry) Declared(t event.Tenant) (d Declared, rev uint64) {
	e, ok := r.Status.Get(DeclaredKey(t))
	if !ok || json.Unmarshal(e.Value, &d) != nil {
		return Declared{}, e.Revision
	}
	if d.Removed == nil {
		d.Removed = map[string]Removal{}
	}
	for _, name := range d.More {
		more, _, _ := Get[map[string]Removal](r, removedKey(t, name))
		maps.Copy(d.Removed, more)
	}
	return d, e.Revision
}

// PutDeclared stores it by compare-and-set: declaring and trimming both change
// it, and a removal that one of them loses is never purged.
func (r *Registry) PutDeclared(ctx context.Context, t event.Tenant, d Declared, rev uint64) (uint64, error) {
	var was Declared
	if e, ok := r.Status.Get(DeclaredKey(t)); ok && e.Revision == rev && json.Unmarshal(e.Value, &was) != nil {
		was = Declared{}
	}
	keys := slices.Sorted(maps.Keys(d.Removed))
	all := d.Removed
	d.Removed, d.More = map[string]Removal{}, nil
	for i, some := range slices.Collect(slices.Chunk(keys, maxRemoved)) {
		part := map[string]Removal{}
		for _, key := range some {
			part[key] = all[key]
		}
		if i == 0 {
			d.Removed = part
			continue
		}
		data, err := json.Marshal(part)
		if err != nil {
			return 0, fault.Wrap(fault.Other, err, "encode removals")
		}
		name := api.PartName(data)
		d.More = append(d.More, name)
		if slices.Contains(was.More, name) {
			continue
		}
		if _, err := r.PutStatus(ctx, removedKey(t, name), part); err != nil {
			return 0, err
		}
	}
	now, err := r.CASStatus(ctx, DeclaredKey(t), d, rev)
	if err != nil {
		return 0, err
	}
	for _, name := range was.More {
		if !slices.Contains(d.More, name) {
			if err := r.DropStatus(ctx, removedKey(t, name)); err != nil {
				return 0, err
			}
		}
	}
	return now, r.Status.Wait(ctx, now)
}
