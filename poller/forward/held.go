package forward

import (
	"time"

	"midplane/api"
)

// What counts as being held back: the rate has made messages wait within
// heldFor, and the oldest of them is older than heldAge.
const (
	heldFor = 5 * time.Second
	heldAge = 30 * time.Second
)

// Held says which limit holds waiting messages back, the oldest of which is of
// age; nil when none does.
func (p *Pacer) Held(now time.Time, waiting int64, age time.Duration) *api.Held {
	p.mu.Lock()
	defer p.mu.Unlock()
	if age < heldAge || now.Sub(p.short) > heldFor && now.Sub(p.limited) > heldFor && !p.hold.After(now) {
		p.since = time.Time{}
		return nil
	}
	if p.since.IsZero() {
		p.since = now
	}
	h := &api.Held{Limit: p.limit, Since: p.since.UTC(), Waiting: waiting}
	if h.Limit == "" || now.Sub(p.limited) > time.Minute {
		h.Limit = api.LimitProducerMessages // no door refused lately: its own limit is what it keeps to
		if p.large > p.sum/2 {
			h.Limit = api.LimitProducerBytes
		}
	}
	switch h.Limit {
	case api.LimitProducerMessages:
		h.Value = int64(p.pace.Limit.Messages)
	case api.LimitProducerBytes:
		h.Value = p.pace.Limit.Bytes
	}
	if p.pace == unknownPace {
		h.Value = 0
	}
	return h
}
