package sqlite

import "sync"

// growth wakes those who wait for the event log to grow.
type growth struct {
	mu   sync.Mutex
	next chan struct{} // closed and replaced at each commit that grew the log
}

func newGrowth() *growth { return &growth{next: make(chan struct{})} }

func (g *growth) changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.next
}

func (g *growth) grew() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.next)
	g.next = make(chan struct{})
}
