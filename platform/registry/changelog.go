package registry

import "slices"

// maxChanges is how many changes are remembered: some seconds of a large
// deployment.
const maxChanges = 4096

// changeLog remembers which keys changed last, in the order in which this node
// learned of it. It numbers them itself: a watch that begins again may deliver a
// change late, with a revision that is below the newest, and a key that is gone by
// then has none.
type changeLog struct {
	keys  []string
	first uint64 // how many changes came before those
}

func (c *changeLog) note(key string) {
	if len(c.keys) == maxChanges {
		const half = maxChanges / 2
		c.keys = slices.Delete(c.keys, 0, half)
		c.first += half
	}
	c.keys = append(c.keys, key)
}

// count is how many changes there were.
func (c *changeLog) count() uint64 { return c.first + uint64(len(c.keys)) }

// since returns the keys that changed after the first n changes, each once; all
// means that not every one of them is remembered.
func (c *changeLog) since(n uint64) (keys []string, all bool) {
	if n < c.first || n > c.count() {
		return nil, true
	}
	keys = slices.Clone(c.keys[n-c.first:])
	slices.Sort(keys)
	return slices.Compact(keys), false
}
