package testcluster

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// Flapping is a server of which every address answers well and badly by turns, so
// that every check is a change, until it is to be steady.
type Flapping struct {
	*httptest.Server
	Steady atomic.Bool
	mu     sync.Mutex
	asked  map[string]int
}

// NewFlapping starts one until the test ends.
func NewFlapping(t testing.TB) *Flapping {
	f := &Flapping{asked: map[string]int{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked[r.URL.Path]++
		bad := f.asked[r.URL.Path]%2 == 0 && !f.Steady.Load()
		f.mu.Unlock()
		if bad {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(f.Close)
	return f
}
