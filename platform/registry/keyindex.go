package registry

import (
	"slices"
	"strings"
)

// keyIndex finds keys by how they begin. Keys are added and removed far more
// seldom than they are looked for: a key that is stored again is the same key.
type keyIndex struct {
	keys   []string
	sorted bool
}

func (x *keyIndex) add(key string) {
	x.keys = append(x.keys, key)
	x.sorted = false
}

func (x *keyIndex) remove(key string) {
	x.sort()
	if i, ok := slices.BinarySearch(x.keys, key); ok {
		x.keys = slices.Delete(x.keys, i, i+1)
	}
}

// with returns the keys that begin with prefix, in order. The slice is the
// index's own, good until the next call.
func (x *keyIndex) with(prefix string) []string {
	x.sort()
	from, _ := slices.BinarySearch(x.keys, prefix)
	to := from
	for to < len(x.keys) && strings.HasPrefix(x.keys[to], prefix) {
		to++
	}
	return x.keys[from:to]
}

func (x *keyIndex) sort() {
	if !x.sorted {
		slices.Sort(x.keys)
		x.sorted = true
	}
}
