package ingress

import (
	"sync"
	"time"

	"midplane/event"
	"midplane/platform/ingress/admit"
)

// How long a producer is shut out: longer each time, until it has behaved for
// as long as the longest.
const (
	outFirst = 2 * time.Second
	outMost  = time.Minute
)

// exclusions are the users that are shut out of this node for a while.
type exclusions struct {
	mu   sync.Mutex
	list map[string]*exclusion // by user key
}

type exclusion struct {
	length time.Duration
	until  time.Time
}

// add shuts a user out and returns for how long.
func (x *exclusions) add(user string, now time.Time) time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, s := range x.list {
		if now.Sub(s.until) > outMost {
			delete(x.list, key)
		}
	}
	if x.list == nil {
		x.list = map[string]*exclusion{}
	}
	s := x.list[user]
	if s == nil {
		s = &exclusion{length: outFirst / 2}
		x.list[user] = s
	}
	if now.After(s.until) { // refusals that were still under way do not count
		s.length = min(2*s.length, outMost)
		s.until = now.Add(s.length)
	}
	return s.length
}

// out reports whether a user is shut out.
func (x *exclusions) out(user string, now time.Time) bool { return x.until(user, now) != nil }

// until returns until when a user is shut out, nil when it is not.
func (x *exclusions) until(user string, now time.Time) *time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.list[user]
	if s == nil || !now.Before(s.until) {
		return nil
	}
	at := s.until.UTC()
	return &at
}

// any reports whether there may be a user that is shut out.
func (x *exclusions) any() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.list) > 0
}

// ShutOut reports whether a user's connections to this node are to be closed,
// because it sent on although it was asked to wait.
func (i *Ingress) ShutOut(userKey string) bool { return i.excluded.out(userKey, time.Now()) }

// ShutsOut reports whether there may be such a user at all.
func (i *Ingress) ShutsOut() bool { return i.excluded.any() }

// shutOut closes a producer's connections to this node; the control plane keeps
// them closed (Ingress.ShutOut).
func (d *door) shutOut(snap *admit.Snapshot, p event.Producer) {
	key := snap.Users[string(p)].Key
	if d.excluded.out(key, time.Now()) {
		return
	}
	d.counts.dropped("flood")
	length := d.excluded.add(key, time.Now())
	d.tel.Log.Warn("a producer sends on although it is asked to wait; it is shut out for a while", "tenant", d.tenant, "producer", p, "for", length)
	go d.broker.KickUser(d.account, key)
}
