//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
)

const passed = "acme.turnstile.passed.v1"

// turnstile is one entity whose passages a producer publishes, numbered from
// one, each only when the one before is acknowledged.
type turnstile struct {
	user   *user
	entity string
	pause  time.Duration // between two

	mu    sync.Mutex
	acked []time.Time // when passage i+1 was
	last  error       // what the last publish got
}

func (s *turnstile) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acked)
}

// run publishes until ctx ends; the last passage is still brought to its end.
func (s *turnstile) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.pass(s.count() + 1); err != nil {
			return err
		}
		time.Sleep(s.pause)
	}
	return nil
}

// pass publishes passage n with the same id until it is acknowledged.
func (s *turnstile) pass(n int) error {
	msg := nats.NewMsg("in." + s.user.name + ".event.info." + s.entity + "." + passed)
	msg.Header.Set(nats.MsgIdHdr, fmt.Sprintf("%s/%s/%d", s.user.name, s.entity, n))
	msg.Data = fmt.Appendf(nil, `{"count":%d,"by":%q}`, n, s.user.name)
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(20 * time.Millisecond) {
		ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := s.user.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
		stop()
		s.mu.Lock()
		s.last = err
		if err == nil {
			s.acked = append(s.acked, time.Now())
		}
		s.mu.Unlock()
		if err == nil {
			return nil
		}
		var refusal *jetstream.APIError
		if errors.As(err, &refusal) && refusal.Code != 503 && refusal.Code != 429 && refusal.Code != 409 {
			return fmt.Errorf("passage %d of %s refused: %w", n, s.entity, err)
		}
	}
	return fmt.Errorf("passage %d of %s not acknowledged within a minute: %w", n, s.entity, s.last)
}

// gate is several turnstiles that run at once.
type gate struct {
	stop  context.CancelFunc
	group sync.WaitGroup
	errs  chan error
}

func open(stiles []*turnstile) *gate {
	ctx, stop := context.WithCancel(context.Background())
	g := &gate{stop: stop, errs: make(chan error, len(stiles))}
	for _, s := range stiles {
		g.group.Go(func() {
			if err := s.run(ctx); err != nil {
				g.errs <- err
			}
		})
	}
	return g
}

// close lets all that are under way through, and fails when one was not.
func (g *gate) close(t *testing.T) {
	t.Helper()
	g.stop()
	g.group.Wait()
	select {
	case err := <-g.errs:
		t.Fatal(err)
	default:
	}
}

// advance waits until every turnstile has acknowledged more passages.
func advance(t *testing.T, within time.Duration, stiles []*turnstile, more int) {
	t.Helper()
	from := map[*turnstile]int{}
	for _, s := range stiles {
		from[s] = s.count()
	}
	eventually(t, within, "passages are acknowledged", func() error {
		for _, s := range stiles {
			if n := s.count(); n < from[s]+more {
				s.mu.Lock()
				defer s.mu.Unlock()
				return fmt.Errorf("%s has %d, want %d; its last publish: %v; its connection: %s %v", s.entity, n, from[s]+more, s.last, s.user.nc.Status(), s.user.nc.LastError())
			}
		}
		return nil
	})
}

// gaps returns the longest time without any acknowledgement, and the longest
// of a single turnstile.
func gaps(stiles []*turnstile) (all, single time.Duration) {
	var times []time.Time
	for _, s := range stiles {
		single = max(single, longest(s.acked))
		times = append(times, s.acked...)
	}
	slices.SortFunc(times, time.Time.Compare)
	return longest(times), single
}

func longest(times []time.Time) (d time.Duration) {
	for i := 1; i < len(times); i++ {
		d = max(d, times[i].Sub(times[i-1]))
	}
	return d
}

// exactlyOnce complains unless the primary shows every acknowledged passage of
// every turnstile once, in its order, and no other.
func exactlyOnce(w world, stiles []*turnstile) error {
	rows, err := list[api.Event](w, "events", "tenant=acme", "type="+passed)
	if err != nil {
		return err
	}
	slices.SortFunc(rows, func(a, b api.Event) int { return int(int64(a.Seq) - int64(b.Seq)) })
	seen := map[string][]int{}
	for _, r := range rows {
		var body struct {
			Count int `json:"count"`
		}
		if err := json.Unmarshal(r.Data, &body); err != nil {
			return fmt.Errorf("event %s: %w", r.ID, err)
		}
		key := r.Producer + "/" + r.Entity
		seen[key] = append(seen[key], body.Count)
	}
	for _, s := range stiles {
		key := s.user.name + "/" + s.entity
		got := seen[key]
		delete(seen, key)
		if len(got) != len(s.acked) {
			return fmt.Errorf("%s: the primary shows %d passages, %d were acknowledged: %s", key, len(got), len(s.acked), outOfOrder(got))
		}
		if wrong := outOfOrder(got); wrong != "" {
			return fmt.Errorf("%s: %s", key, wrong)
		}
	}
	for key := range seen {
		return fmt.Errorf("the primary shows passages of %s, who published none", key)
	}
	return nil
}

// outOfOrder names the first number that is not the one after the one before.
func outOfOrder(got []int) string {
	for i, n := range got {
		if n != i+1 {
			return "passage " + strconv.Itoa(n) + " is where " + strconv.Itoa(i+1) + " belongs"
		}
	}
	return ""
}
