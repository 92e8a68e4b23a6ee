package api

import "time"

// Verbs of the admin door about keys that are replaced.
const (
	RotateKeys       = "rotate.keys"       // Rotate → Page[Rotation]
	RotateCapability = "rotate.capability" // Rotate → Page[Rotation]
	RotateFinish     = "rotate.finish"     // Rotate → Page[Rotation]
	RotationList     = "rotation.list"     // ListRequest → Page[Rotation]
)

// Rotate asks for new keys in a tenant: new signing keys of its users' roles
// (none named: all of them), a new capability, or for the former keys to go now.
type Rotate struct {
	Tenant string   `json:"tenant"`
	Roles  []string `json:"roles,omitempty"`
	// Yes cuts off who still has credentials of a former key (RotateFinish).
	Yes bool `json:"yes,omitempty"`
}

// What a Rotation is about.
const (
	RotatedKey        = "key"
	RotatedCapability = "capability"
)

// Rotation is something former that still holds, or a capability that is not
// in use yet.
type Rotation struct {
	ID     string    `json:"id"`
	Tenant string    `json:"tenant"`
	What   string    `json:"what"`
	Role   string    `json:"role,omitempty"`
	Key    string    `json:"key,omitempty"` // public key of the former signing key
	State  string    `json:"state"`         // what is waited for
	Since  time.Time `json:"since,omitzero"`
	// Holders are the users whose credentials may be of the former key.
	Holders []string `json:"holders"`
}
