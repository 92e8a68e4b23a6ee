package platform

import (
	"fmt"
	"time"
)

// patience is how long a step of a start may take before it is logged.
const patience = 3 * time.Second

// wait notes what the start waits for, until the returned function is called.
// When that takes a while it is logged, once: a node that waits for the others
// must not look as if it hung.
func (p *Platform) wait(what, hint string) (done func()) {
	p.waits.Store(&what)
	p.refusal.Store(nil)
	began := time.Now()
	logged := make(chan struct{})
	timer := time.AfterFunc(patience, func() {
		defer close(logged)
		p.tel.Log.Info("waiting for "+what, "hint", hint, "refused", p.refused())
	})
	return func() {
		p.waits.Store(nil)
		if !timer.Stop() {
			<-logged
			p.tel.Log.Info("no longer waiting for "+what, "after", time.Since(began).Round(time.Second))
		}
	}
}

// refuse notes why the others refuse what is waited for: then they are there.
func (p *Platform) refuse(err error) {
	text := err.Error()
	p.refusal.Store(&text)
}

// refused is why, "" when nobody does.
func (p *Platform) refused() string {
	if text := p.refusal.Load(); text != nil {
		return *text
	}
	return ""
}

// quorum is how many nodes must run, in words.
func (p *Platform) quorum() string {
	all := max(1, len(p.cfg.Node.Peers))
	return fmt.Sprintf("%d of %d nodes, and all of them the first time", all/2+1, all)
}

// starting is what keeps a node from being ready.
func (p *Platform) starting() string {
	if what := p.waits.Load(); what != nil {
		if why := p.refused(); why != "" {
			return "is waiting for " + *what + "; refused: " + why
		}
		return "is waiting for " + *what
	}
	return "is starting"
}
