package catalog

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"midplane/event"
	"midplane/schemas"
)

// At returns Midplane's own types as they are where a type has the version that
// takes names, or 1 when it names none: what every program of a deployment
// understands while two versions run side by side. It panics as Schemas does.
func At(takes map[event.Type]int) *schemas.Set {
	older := map[event.Type]int{}
	for t, now := range Versions() {
		if version := max(takes[t], 1); version < now {
			older[t] = version
		}
	}
	if len(older) == 0 {
		return Set()
	}
	var key strings.Builder
	for _, t := range slices.Sorted(maps.Keys(older)) {
		key.WriteString(string(t) + " " + strconv.Itoa(older[t]) + "\n")
	}
	sets.Lock()
	defer sets.Unlock()
	if set := sets.made[key.String()]; set != nil {
		return set
	}
	list := Schemas()
	for i, s := range list {
		if version, ok := older[s.Type]; ok {
			if e, ok := Earlier(s.Type, version); ok {
				list[i] = e.Schema
			}
		}
	}
	set, err := schemas.NewSet(list)
	if err != nil {
		panic("catalog: " + err.Error())
	}
	sets.made[key.String()] = set
	return set
}

// sets are those that At has made: as many as there are levels in the life of a
// process, which is two or three.
var sets = struct {
	sync.Mutex
	made map[string]*schemas.Set
}{made: map[string]*schemas.Set{}}
