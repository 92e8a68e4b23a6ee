package api

import "time"

// Verbs of the admin service about replacing keys.
const (
	RotateKeys       = "rotate.keys"       // Rotate → Page[Rotation]
	RotateCapability = "rotate.capability" // Rotate → Page[Rotation]
	RotateFinish     = "rotate.finish"     // Rotate → Page[Rotation]
	RotationList     = "rotation.list"     // ListRequest → Page[Rotation]
)

// Rotate asks for new keys in a tenant: new signing keys of its users' roles
// (none named: all of them), or a new capability, or the removal of former keys.
type Rotate struct {
	Tenant string   `json:"tenant"`
	Roles  []string `json:"roles,omitempty"`
	// Yes lets RotateFinish cut off users that still have credentials of a former key.
	Yes bool `json:"yes,omitempty"`
}

// Values of Rotation.What.
const (
	RotatedKey        = "key"
	RotatedCapability = "capability"
)

// Rotation is a former key or capability that is still valid, or a new capability
// that is not in use yet.
type Rotation struct {
	ID     string    `json:"id"`
	Tenant string    `json:"tenant"`
	What   string    `json:"what"`
	Role   string    `json:"role,omitempty"`
	Key    string    `json:"key,omitempty"` // public key of the former signing key
	State  string    `json:"state"`         // what the rotation waits for
	Since  time.Time `json:"since,omitzero"`
	// Holders are the users whose credentials the former key may have signed.
	Holders []string `json:"holders"`
}
