package channel

import "sync"

// waitList bounds how many requests of one account wait at once.
type waitList struct {
	mu sync.Mutex
	n  map[string]int
}

const maxWaiting = 8

func (w *waitList) enter(accountKey string) (leave func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n[accountKey] >= maxWaiting {
		return nil, false
	}
	if w.n == nil {
		w.n = map[string]int{}
	}
	w.n[accountKey]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.n[accountKey]--; w.n[accountKey] == 0 {
			delete(w.n, accountKey)
		}
	}, true
}
