package ingress

import (
	"sync"
	"time"

	"midplane/event"
)

// flood notices producers that send on although they are told to wait. A
// refusal costs the node as much as a message let in, and what it costs is
// missing to other tenants: so a door refuses as many messages in a second as
// it lets in, 500 at least, and floodBurst more once in a while. Beyond that
// the producer that was refused most is shut out.
type flood struct {
	level float64
	at    time.Time
}

const (
	floodBurst = 2000
	floodRate  = 500
)

// refused notes a refusal and returns who is to be shut out, if anybody.
// The mutex is held.
func (l *limiter) refused(now time.Time, f *flow) (worst event.Producer) {
	if f != nil {
		f.refused++
	}
	fl := &l.flood
	if d := now.Sub(fl.at); d > 0 {
		fl.level = max(0, fl.level-d.Seconds()*max(floodRate, l.tenant.messages.rate))
		fl.at = now
	}
	if fl.level++; fl.level <= floodBurst {
		return ""
	}
	fl.level = floodBurst / 2
	var most float64
	for p, other := range l.producers {
		if other.refused > most {
			worst, most = p, other.refused
		}
		other.refused /= 2
	}
	if worst != "" {
		l.producers[worst].refused = 0
	}
	return worst
}

// How long a producer is shut out: longer each time, until it has behaved for
// as long as the longest.
const (
	outFirst = 2 * time.Second
	outMost  = time.Minute
)

// outlaws are the users that are shut out of this node for a while.
type outlaws struct {
	mu   sync.Mutex
	list map[string]*sentence // by user key
}

type sentence struct {
	length time.Duration
	until  time.Time
}

// add shuts a user out and returns for how long.
func (o *outlaws) add(user string, now time.Time) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, s := range o.list {
		if now.Sub(s.until) > outMost {
			delete(o.list, key)
		}
	}
	if o.list == nil {
		o.list = map[string]*sentence{}
	}
	s := o.list[user]
	if s == nil {
		s = &sentence{length: outFirst / 2}
		o.list[user] = s
	}
	if now.After(s.until) { // refusals that were still under way do not count
		s.length = min(2*s.length, outMost)
		s.until = now.Add(s.length)
	}
	return s.length
}

// out reports whether a user is shut out.
func (o *outlaws) out(user string, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.list[user]
	return s != nil && now.Before(s.until)
}

// any reports whether anybody may be shut out.
func (o *outlaws) any() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.list) > 0
}

// ShutOut reports whether a user's connections to this node are to be closed,
// because it sent on although it was told to wait.
func (i *Ingress) ShutOut(userKey string) bool { return i.outlaws.out(userKey, time.Now()) }

// ShutsOut reports whether there may be such a user at all.
func (i *Ingress) ShutsOut() bool { return i.outlaws.any() }

// shutOut closes a producer's connections to this node; the control plane keeps
// them closed (Ingress.ShutOut).
func (d *door) shutOut(snap *Snapshot, p event.Producer) {
	key := snap.Users[string(p)].Key
	if d.outlaws.out(key, time.Now()) {
		return
	}
	d.counts.dropped("flood")
	length := d.outlaws.add(key, time.Now())
	d.tel.Log.Warn("a producer sends on although it is told to wait; it is shut out for a while", "tenant", d.tenant, "producer", p, "for", length)
	go d.broker.KickUser(d.account, key)
}
