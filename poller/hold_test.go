package poller

import (
	"sync"
	"testing"
	"time"

	"midplane/bus"
	"midplane/event"
	"midplane/telemetry"
)

// Told when to come back, the poller sends nothing before: neither the message
// that was refused nor any other.
func TestForwardWaitsAsLongAsItIsTold(t *testing.T) {
	const told = 700 * time.Millisecond
	s := broker(t, t.TempDir(), -1)
	nc := connect(t, s.ClientURL(), "syd-01")
	o := openBox(t, tempPath(t), time.Hour)
	var mu sync.Mutex
	var refused time.Time
	var early []time.Duration
	second := make(chan struct{})
	ingress(t, connect(t, s.ClientURL(), "door"), func(_ string, e event.Event) string {
		mu.Lock()
		defer mu.Unlock()
		if refused.IsZero() {
			refused = time.Now()
			close(second)
			return `{"error":{"code":429,"err_code":24051,"description":"over the producer's message rate; ` + bus.RetryIn(told) + `"},"stream":"` + e.Kind.Stream() + `"}`
		}
		if d := time.Since(refused); d < told {
			early = append(early, d)
		}
		return ack(e)
	})
	put(t, o, message(event.KindEvent, "r1", 1))
	f := newForwarder(nc, "syd-01", o, telemetry.Nop())
	background(t, f.Run)
	<-second
	eventually(t, "the refusal has arrived", func() bool { return f.held(time.Now()) > 0 || time.Since(refused) > told })
	put(t, o, message(event.KindEvent, "r2", 2))
	drained(t, o)
	mu.Lock()
	defer mu.Unlock()
	if len(early) > 0 {
		t.Errorf("sent %v after it was told to wait %s", early, told)
	}
}
