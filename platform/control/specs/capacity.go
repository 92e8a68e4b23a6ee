package specs

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"midplane/api"
	"midplane/platform/registry"
)

// place is a node with what it can hold.
type place struct {
	name string
	api.Store
}

// capacity returns how many bytes the nodes can hold for tenants, of which they keep
// so many replicas each, and what bounds it; 0 when too few nodes say what they have.
// With disks, nodes on one disk share what is free of it; without, only what they may
// store counts. It is pure.
func capacity(places []place, replicas int, disks bool) (bytes int64, bound string) {
	type shared struct {
		total uint64 // free, and used by these nodes
		names []string
	}
	on := map[string]*shared{}
	for _, p := range places {
		key := cmp.Or(p.Disk, p.name)
		if on[key] == nil {
			on[key] = &shared{total: p.DiskFree}
		}
		on[key].names = append(on[key].names, p.name)
		on[key].total += p.Used
	}
	type room struct {
		bytes int64
		bound string
	}
	var rooms []room
	for _, p := range places {
		r := room{int64(min(p.Limit, math.MaxInt64)), fmt.Sprintf("%s may store %s", p.name, about(p.Limit))}
		disk := on[cmp.Or(p.Disk, p.name)]
		if part := int64(disk.total / uint64(len(disk.names))); disks && part < r.bytes {
			slices.Sort(disk.names)
			r = room{part, fmt.Sprintf("the disk of %s has %s for it", strings.Join(disk.names, ", "), about(disk.total))}
		}
		r.bytes = max(r.bytes/100*api.StoreFull-registry.ControlReserved, 0)
		rooms = append(rooms, r)
	}
	if len(rooms) < replicas || replicas < 1 {
		return 0, ""
	}
	slices.SortFunc(rooms, func(a, b room) int { return cmp.Compare(a.bytes, b.bytes) })
	// Each of the j largest holds at most everything; the others share the rest.
	bytes, sum := int64(math.MaxInt64), int64(0)
	for n, r := range rooms {
		sum = saturating(sum, r.bytes)
		if j := len(rooms) - n - 1; j < replicas {
			bytes = min(bytes, sum/int64(replicas-j))
		}
	}
	return max(bytes, 1), rooms[0].bound
}

func saturating(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// about prints bytes for a sentence.
func about(n uint64) string {
	const gib = 1 << 30
	if n >= gib {
		return fmt.Sprintf("%.1f GiB", float64(n)/gib)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
