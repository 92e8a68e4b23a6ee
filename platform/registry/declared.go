package registry

import (
	"context"
	"encoding/json"

	"midplane/event"
)

// Declared is what readers of a tenant know of its devices: what has been
// published as state.
type Declared struct {
	Revision uint64                    `json:"revision"` // of the spec
	State    uint64                    `json:"state"`    // incarnation of STATE: in a new one nothing is published yet
	Devices  map[string]event.Declared `json:"devices"`  // by "<site>/<device>"
	// Of a spec in parts it is what they say instead of Devices.
	Parts   map[event.Site][]string         `json:"parts,omitempty"`
	Pollers map[event.Site][]event.Producer `json:"pollers,omitempty"` // that shared the devices out
	Removed map[string]Removal              `json:"removed"`           // until their subjects are purged
}

// Removal is a device that is no longer declared.
type Removal struct {
	Site   event.Site   `json:"site"`
	Device event.Entity `json:"device"`
	Seq    uint64       `json:"seq"` // of the message in STATE that says so
}

// DeclaredKey is the key of STATUS that holds what is Declared.
func DeclaredKey(t event.Tenant) string { return "declared." + string(t) }

// Declared returns what has been published of a tenant's devices, and the
// revision that says so.
func (r *Registry) Declared(t event.Tenant) (d Declared, rev uint64) {
	e, ok := r.Status.Get(DeclaredKey(t))
	if !ok || json.Unmarshal(e.Value, &d) != nil {
		return Declared{}, e.Revision
	}
	return d, e.Revision
}

// PutDeclared stores it by compare-and-set: declaring and trimming both change
// it, and a removal that one of them loses is never purged.
func (r *Registry) PutDeclared(ctx context.Context, t event.Tenant, d Declared, rev uint64) error {
	now, err := r.CASStatus(ctx, DeclaredKey(t), d, rev)
	if err != nil {
		return err
	}
	return r.Status.Wait(ctx, now)
}
