package poller

import (
	"sync"
	"time"

	"midplane/api"
	"midplane/event"
)

// missing is what of messages that were acknowledged was asked for once more.
type missing struct {
	mu     sync.Mutex
	served map[api.MessageRange]time.Time // the last request for each
}

// missingMost is how many messages of one range are sent once more for one request: who
// still lacks some asks again.
const missingMost = 1000

// serve has what is asked for sent once more, as far as it is still kept. Requests that
// are no longer made are forgotten.
func (m *missing) serve(p *Poller, asked []api.Resend) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out, f := p.out.Load(), p.forward.Load()
	if out == nil || f == nil {
		return // they are asked for with the next answer as well
	}
	served := map[api.MessageRange]time.Time{}
	for _, a := range asked {
		if a.Messages == nil {
			continue
		}
		want := *a.Messages
		if served[want] = a.Asked; !a.Asked.After(m.served[want]) {
			continue
		}
		log := p.tel.Log.With("stream", want.Stream, "epoch", want.Epoch, "from", want.From, "to", want.To)
		if want.Epoch != out.Epoch() {
			log.Warn("messages are missing that an outbox had which is gone")
			continue
		}
		events, err := out.Kept(event.KindOfStream(want.Stream), want.From, want.To, missingMost)
		log.Info("messages are missing that were acknowledged; what is kept of them is sent once more", "kept", len(events), "error", err)
		f.SendAgain(events...)
	}
	m.served = served
}
