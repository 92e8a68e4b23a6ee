package registry

import (
	"midplane/subject"
)

// Listening returns the capabilities behind which the tenant's streams listen:
// the one that is used, and while it is rotated the one to come and the one
// before.
func (t *Tenant) Listening() []subject.Capability {
	out := []subject.Capability{t.Capability}
	seen := map[subject.Capability]bool{t.Capability: true, "": true}
	add := func(c subject.Capability) {
		if !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	add(t.Next)
	for _, r := range t.Retired {
		add(r.Capability)
	}
	return out
}

// Rotating reports whether the leader has something to finish soon: a new
// capability to move to, or a key of the system's own users to drop.
func (t *Tenant) Rotating() bool {
	if t.Next != "" {
		return true
	}
	for _, r := range t.Retired {
		if r.Role.System() {
			return true
		}
	}
	return false
}

// Unsealed returns the tenant's secrets as they were unsealed, to be changed.
func (t *Tenant) Unsealed() Secrets {
	return Secrets{Keys: t.Keys, Capability: string(t.Capability), Next: string(t.Next), Retired: t.Retired}
}
