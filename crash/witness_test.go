package crash

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/telemetry"
)

// witness is a stock producer without an outbox: numbered events, one in flight
// per entity, each published with the same id until it is acknowledged. What it
// saw acknowledged does not depend on anything the poller or the primary say.
type witness struct {
	js    jetstream.JetStream
	mu    sync.Mutex
	acked [witnessEntities]int // the last acknowledged number of each entity
	err   error
}

const (
	witnessUser     = "witness"
	witnessEntities = 4
	witnessPause    = 15 * time.Millisecond
)

func newWitness(t *testing.T, d *testcluster.Deployment, creds string) *witness {
	t.Helper()
	nc, err := bus.Connect(bus.Config{Servers: d.Servers, User: witnessUser, Name: witnessUser, CredsFile: creds, CAFile: d.CA(), MaxWait: 10 * time.Second}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &witness{js: js}
}

// run publishes until ctx ends; what is in flight then is finished.
func (w *witness) run(ctx context.Context) {
	var wg sync.WaitGroup
	for e := range witnessEntities {
		wg.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				if err := w.publish(e, n); err != nil {
					w.mu.Lock()
					w.err = err
					w.mu.Unlock()
					return
				}
				time.Sleep(witnessPause) // the rate, nothing waits for it
			}
		})
	}
	wg.Wait()
}

func witnessID(entity, n int) string { return fmt.Sprintf("%s/w%d/%d", witnessUser, entity, n) }

func (w *witness) publish(entity, n int) error {
	id := witnessID(entity, n)
	msg := &nats.Msg{
		Subject: fmt.Sprintf("in.%s.event.info.w%d.%s", witnessUser, entity, event.TypeReachabilityChanged),
		Header:  nats.Header{event.HeaderMsgID: {id}, event.HeaderID: {id}},
		Data:    fmt.Appendf(nil, `{"device":"w%d","from":"up","to":"down","message":"number %d"}`, entity, n),
	}
	deadline := time.Now().Add(time.Minute)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		_, err := w.js.PublishMsg(ctx, msg)
		cancel()
		if err == nil {
			w.mu.Lock()
			w.acked[entity] = n
			w.mu.Unlock()
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: %w", id, err)
		}
		time.Sleep(50 * time.Millisecond) // before the retry
	}
}

// total is how many were acknowledged.
func (w *witness) total() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, acked := range w.acked {
		n += acked
	}
	return n
}

// check holds the primary's log against what was acknowledged: every number of
// every entity, once, in order.
func (w *witness) check(t *testing.T, rows []api.Event) (total int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		t.Fatalf("the witness gave up: %v", w.err)
	}
	var last [witnessEntities]int
	for _, r := range rows {
		rest, ok := strings.CutPrefix(r.ID, witnessUser+"/w")
		if !ok {
			continue
		}
		e, n, _ := strings.Cut(rest, "/")
		entity, err1 := strconv.Atoi(e)
		number, err2 := strconv.Atoi(n)
		if err1 != nil || err2 != nil || entity < 0 || entity >= witnessEntities {
			t.Fatalf("event %q is not the witness'", r.ID)
		}
		if number != last[entity]+1 {
			t.Fatalf("w%d: after number %d comes %d: lost, doubled or out of order", entity, last[entity], number)
		}
		last[entity] = number
	}
	for e, n := range w.acked {
		if n == 0 || last[e] != n {
			t.Fatalf("w%d: %d were acknowledged, the primary has %d", e, n, last[e])
		}
		total += n
	}
	return total
}
