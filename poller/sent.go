package poller

import "midplane/event"

// sent is what the outbox knows of what was sent. Before the outbox is open that
// is nothing.
type sent struct{ p *Poller }

func (s sent) Current(device event.Entity) (from uint64, states int, digest event.Digest) {
	if out := s.p.out.Load(); out != nil {
		return out.Current(device)
	}
	return 0, 0, 0
}

func (s sent) SendAgain(devices ...event.Entity) {
	if out := s.p.out.Load(); out != nil {
		out.SendAgain(devices...)
	}
}

func (s sent) SetChangesOnly(on bool) {
	if out := s.p.out.Load(); out != nil {
		out.SetChangesOnly(on)
	}
}
