package ingress

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter keeps a tenant's message rate at this node's door: a token bucket of
// one second, with this node's share of the tenant's rate.
type limiter struct {
	mu  sync.Mutex
	lim *rate.Limiter
	per float64
}

// set changes the share, in messages per second.
func (l *limiter) set(perSecond float64, nodes int) {
	share := perSecond / float64(max(nodes, 1))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lim == nil {
		l.lim = rate.NewLimiter(rate.Limit(share), burst(share))
	} else if l.per != share {
		l.lim.SetLimit(rate.Limit(share))
		l.lim.SetBurst(burst(share))
	}
	l.per = share
}

func burst(share float64) int { return max(int(share), 1) }

// allow takes one token, or says how long until there is one.
func (l *limiter) allow(now time.Time) (wait time.Duration) {
	r := l.lim.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}
