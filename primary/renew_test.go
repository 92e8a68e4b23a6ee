package primary

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/telemetry"
)

// TestRenewsItsCredentials: at half of their life a primary opens a new
// connection to a tenant before it closes the old one, and reads everything once.
func TestRenewsItsCredentials(t *testing.T) {
	w := newWorld(t)
	config := w.config("p1") // its own credentials do not end
	acme := w.add("acme")
	w.mu.Lock()
	w.life = 6 * time.Second
	w.mu.Unlock()
	_, stop := run(t, config, telemetry.Nop())
	defer stop()
	given := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.given
	}
	connected := func() int {
		z, err := w.srv.Connz(&server.ConnzOptions{Account: acme.public, Username: true})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range z.Conns {
			if c.Name == "primary p1 of acme" {
				n++
			}
		}
		return n
	}
	testwait.True(t, "it reads", func() bool { return connected() == 1 })
	sent, gaps := 0, 0
	testwait.True(t, "renewed three times", func() bool {
		if connected() == 0 {
			gaps++
		}
		acme.put(t, event.KindEvent, "r1", event.TypeReachabilityChanged, event.Changed{Device: "r1", From: "up", To: "down", Message: "gone"})
		sent++
		return given() >= 4
	})
	if gaps > 0 {
		t.Errorf("without a connection at %d of %d looks", gaps, sent)
	}
	q := w.query()
	testwait.True(t, "all is folded", func() bool {
		st := ask[api.PrimaryReport](t, q, api.PrimaryStatus, struct{}{})
		return len(st.Tenants) == 1 && st.Tenants[0].Streams[0].Cursor == uint64(sent)
	})
	end := ask[api.Page[api.Event]](t, q, api.EventList, api.EventRequest{Newest: true, Limit: 1}).Items
	if len(end) != 1 || end[0].Position != uint64(sent) {
		t.Errorf("%d sent, and %+v is the last", sent, end)
	}
}
