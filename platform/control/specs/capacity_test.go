package specs

import (
	"strings"
	"testing"

	"midplane/api"
	"midplane/platform/registry"
)

const gib = 1 << 30

// TestCapacity: what nodes can hold is what the smallest room for all replicas leaves,
// without what the control plane needs and what stays free.
func TestCapacity(t *testing.T) {
	at := func(name, disk string, limit, free, used uint64) place {
		return place{name, api.Store{Limit: limit * gib, DiskFree: free * gib, Used: used * gib, Disk: disk}}
	}
	left := func(n int64) int64 { return n*gib/100*api.StoreFull - registry.ControlReserved }
	for what, x := range map[string]struct {
		places   []place
		replicas int
		disks    bool
		want     int64
		bound    string
	}{
		"the node that may store least": {[]place{at("n1", "a", 20, 90, 0), at("n2", "b", 10, 90, 0), at("n3", "c", 30, 90, 0)}, 3, true, left(10), "n2 may store 10.0 GiB"},
		"one disk is shared":            {[]place{at("n2", "a", 70, 60, 10), at("n1", "a", 70, 60, 10), at("n3", "a", 70, 60, 10)}, 3, true, left(30), "n1, n2, n3 has 90.0 GiB"},
		"disks that are not known":      {[]place{at("n1", "", 70, 60, 0), at("n2", "", 70, 50, 0), at("n3", "", 70, 60, 0)}, 3, true, left(50), "the disk of n2"},
		"without disks":                 {[]place{at("n1", "a", 70, 6, 0), at("n2", "a", 70, 6, 0), at("n3", "a", 70, 6, 0)}, 3, false, left(70), "70.0 GiB"},
		"one replica":                   {[]place{at("n1", "a", 10, 90, 0), at("n2", "b", 10, 90, 0)}, 1, true, 2 * left(10), "n1"},
		"three replicas on five nodes":  {[]place{at("n1", "a", 10, 90, 0), at("n2", "b", 10, 90, 0), at("n3", "c", 10, 90, 0), at("n4", "d", 10, 90, 0), at("n5", "e", 90, 90, 0)}, 3, true, 2 * left(10), "may store 10.0 GiB"},
		"too few nodes say it":          {[]place{at("n1", "a", 10, 90, 0), at("n2", "b", 10, 90, 0)}, 3, true, 0, ""},
		"no limit":                      {[]place{{"n1", api.Store{Limit: 1 << 63, DiskFree: 1 << 62}}, {"n2", api.Store{Limit: 1 << 63, DiskFree: 1 << 62}}}, 2, true, (1<<62)/100*api.StoreFull - registry.ControlReserved, "n1"},
		"no room at all":                {[]place{{"n1", api.Store{Limit: 1 << 20}}}, 1, true, 1, "n1"},
	} {
		got, bound := capacity(x.places, x.replicas, x.disks)
		if got != x.want || !strings.Contains(bound, x.bound) {
			t.Errorf("%s: %d, %q; want %d, %q", what, got, bound, x.want, x.bound)
		}
	}
}
