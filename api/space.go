package api

// FormatSpace is of how a tenant's storage is kept: 2 is streams that the server
// does not bound; the doors keep each stream's share, and the account the sum.
// With 1 each stream has its share as the server's limit.
const FormatSpace = "space"

// Store is what a node may store on its disk, and what it does, in bytes.
type Store struct {
	Limit    uint64 `json:"limit"`          // --max-store, or the server's own choice
	Used     uint64 `json:"used"`           // of it
	DiskFree uint64 `json:"diskFree"`       // of the disk, whoever uses it
	Disk     string `json:"disk,omitempty"` // the same for all nodes on one disk
}

// StoreFull is from how many percent of its limit on a node takes nothing from
// tenants: at the limit the server's streams and its own records have no leader.
const StoreFull = 95

// StoreTight is from how many percent on all streams are trimmed of what has been
// read, whatever their shares. Only where more is promised than there is are there so
// many.
const StoreTight = 90

// Above reports whether more than a part of the limit is used.
func (s Store) Above(part float64) bool {
	return s.Limit > 0 && float64(s.Used) >= part*float64(s.Limit)
}

// Full reports whether the node takes nothing from tenants.
func (s Store) Full() bool { return s.Above(StoreFull / 100.) }

// SpaceCheck says before anything is stored whether quotas fit: SpaceRequest → Space;
// Exhausted when they do not.
const SpaceCheck = "space.check"

// SpaceRequest names tenants with the storage that they are to be promised, in bytes of
// one copy.
type SpaceRequest struct {
	Storage map[string]int64 `json:"storage"`
	// Overcommit promises more than there is.
	Overcommit bool `json:"overcommit,omitempty"`
}

// Space is what the nodes can hold for tenants, in bytes of one copy.
type Space struct {
	Capacity int64  `json:"capacity"` // 0: not known
	Promised int64  `json:"promised"` // to all tenants together, with what they have beyond their quota
	Bound    string `json:"bound"`    // what there is least of: "n1, n2 and n3 share a disk with …"
}
