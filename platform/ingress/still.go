package ingress

import (
	"context"
	"time"

	"midplane/internal/pulse"
	"midplane/internal/wait"
)

// settling is how long after a stop the server may take to be done with what it
// has read of connections that are closed by then.
const settling = time.Second

// watch notices that this process stood still, and then has nothing forwarded that
// waited in it: producers had no answer, have sent it again elsewhere, and the
// stream may have forgotten since that it has it. A false alarm costs each client a
// reconnect.
func (i *Ingress) watch(ctx context.Context) {
	p := i.cfg.Pulse
	if p == nil {
		return
	}
	defer p.Rest() // what is left is to stop, which takes as long as it takes
	tick := time.NewTicker(pulse.Every)
	defer tick.Stop()
	for {
		now := time.Now()
		if p.Stopped(now) {
			i.goOn(ctx, p.Missed(now))
			now = time.Now()
		}
		p.Beat(now) // of before: a stop between the two is seen at the next tick
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// goOn discards what waits, in the doors and in the connections of clients. Until
// the next beat no door forwards anything and none is opened; those that were open
// forward nothing any more.
func (i *Ingress) goOn(ctx context.Context, still time.Duration) {
	i.stops.Add(1)
	i.mu.Lock()
	for id, d := range i.doors {
		d.nc.Close()
		delete(i.doors, id)
	}
	clear(i.loaded)
	i.mu.Unlock()
	closed := 0
	for _, t := range i.cfg.Registry.View().Tenants {
		if t.Account.Key != "" {
			closed += i.cfg.Broker.KickClients(t.Account.Key)
		}
	}
	i.tel.Log.Warn("this process stood still; what waited in its doors is discarded, and its clients connect again", "for", still.Round(time.Millisecond), "connections", closed)
	_ = wait.For(ctx, settling) // ended, there is nothing to be done
}

// still reports whether nothing may be forwarded by d: the process stood still, or
// has since the door was made.
func (d *door) still(now time.Time) bool {
	return d.stops.Load() != d.born || d.pulse.Stopped(now)
}
