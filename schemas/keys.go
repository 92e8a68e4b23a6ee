package schemas

// keySet finds a key that stands twice among the keys that no property names. It
// compares the first few one by one without allocation, and puts further ones (a
// hostile payload has a hundred thousand) into a map.
type keySet struct {
	few  [8][]byte
	n    int
	many map[string]struct{}
}

// add reports whether key is new.
func (k *keySet) add(key []byte) bool {
	if k.many != nil {
		before := len(k.many)
		k.many[string(key)] = struct{}{}
		return len(k.many) > before
	}
	for _, old := range k.few[:k.n] {
		if string(old) == string(key) {
			return false
		}
	}
	if k.n < len(k.few) {
		k.few[k.n] = key
		k.n++
		return true
	}
	k.many = make(map[string]struct{}, 4*len(k.few))
	for _, old := range k.few {
		k.many[string(old)] = struct{}{}
	}
	k.many[string(key)] = struct{}{}
	return true
}
