package forward

import (
	"sync"
	"testing"
	"time"

	"midplane/bus"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

// A refusal that names a time holds everything until then: the message that was
// refused and every other.
func TestForwardWaitsAsLongAsItIsAsked(t *testing.T) {
	const asked = 700 * time.Millisecond
	s := pollertest.Broker(t, t.TempDir(), -1)
	nc := pollertest.Connect(t, s.ClientURL(), "syd-01")
	o := pollertest.Open(t, pollertest.TempPath(t), time.Hour)
	var mu sync.Mutex
	var refused time.Time
	var early []time.Duration
	second := make(chan struct{})
	pollertest.Ingress(t, pollertest.Connect(t, s.ClientURL(), "door"), func(_ string, e event.Event) string {
		mu.Lock()
		defer mu.Unlock()
		if refused.IsZero() {
			refused = time.Now()
			close(second)
			return `{"error":{"code":429,"err_code":24051,"description":"over the producer's message rate; ` + bus.RetryIn(asked) + `"},"stream":"` + e.Kind.Stream() + `"}`
		}
		if d := time.Since(refused); d < asked {
			early = append(early, d)
		}
		return pollertest.Ack(e)
	})
	pollertest.Put(t, o, pollertest.Message(event.KindEvent, "r1", 1))
	f := New(nc, "syd-01", o, fast(), telemetry.Nop())
	pollertest.Background(t, f.Run)
	<-second
	testwait.True(t, "the refusal has arrived", func() bool {
		_, wait := f.pace.ready(time.Now())
		return wait > asked/2 || time.Since(refused) > asked
	})
	pollertest.Put(t, o, pollertest.Message(event.KindEvent, "r2", 2))
	pollertest.Drained(t, o)
	mu.Lock()
	defer mu.Unlock()
	if len(early) > 0 {
		t.Errorf("sent %v after it was asked to wait %s", early, asked)
	}
}
