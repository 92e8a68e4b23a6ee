package ping

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/poller/collect/collecttest"
)

func target(address string, params map[string]string) collect.Target {
	return collect.Target{Device: "r1", Address: address, Check: "ping", Collector: "ping",
		Timeout: 5 * time.Second, Params: params}
}

func TestExam(t *testing.T) {
	collecttest.Run(t, collecttest.Exam{
		Collector: New(),
		Working:   func(*testing.T) collect.Target { return target("127.0.0.1", nil) },
		Broken:    func(*testing.T) collect.Target { return target("nowhere.invalid", nil) },
		Types:     []event.Type{event.TypeReachability, event.TypePing},
	})
}

// say runs c and decodes what it says.
func say(t *testing.T, c *Collector, target collect.Target) (*event.Reachability, event.Ping) {
	t.Helper()
	var up *event.Reachability
	var ping event.Ping
	err := c.Collect(context.Background(), target, func(_ context.Context, es ...event.Event) error {
		for _, e := range es {
			var into any = &ping
			if e.Type == event.TypeReachability {
				up = new(event.Reachability)
				into = up
			}
			if err := json.Unmarshal(e.Data, into); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return up, ping
}

func TestRealEcho(t *testing.T) {
	for _, params := range []map[string]string{{"count": "5"}, {"size": "1400"}} {
		up, ping := say(t, New(), target("127.0.0.1", params))
		if up == nil || up.Status != event.StatusUp || up.RTT <= 0 || up.Loss != 0 || ping.RTT != up.RTT {
			t.Errorf("%v: %+v %+v", params, up, ping)
		}
	}
}

func TestOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		out     outcome
		status  string
		loss    float64
		message string
	}{
		"all answered":       {outcome{sent: 4, received: 4, average: time.Millisecond}, event.StatusUp, 0, ""},
		"one of four lost":   {outcome{sent: 4, received: 3, average: time.Millisecond}, event.StatusUp, 25, ""},
		"no answer":          {outcome{sent: 3}, event.StatusDown, 100, "no answer to 3 echo requests"},
		"network says no":    {outcome{sent: 0, problem: "network is unreachable"}, event.StatusDown, 100, "network is unreachable"},
		"half sent, no word": {outcome{sent: 1, problem: "no route to host"}, event.StatusDown, 100, "no route to host"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &Collector{ping: func(context.Context, round) (outcome, error) { return c.out, nil }}
			up, ping := say(t, fake, target("127.0.0.1", nil))
			if up.Status != c.status || up.Loss != c.loss || ping.Loss != c.loss || !strings.HasPrefix(up.Message, c.message) {
				t.Errorf("%+v %+v", up, ping)
			}
		})
	}
}

// A device chooses the time stamp that it sends back.
func TestTimesThatCannotBe(t *testing.T) {
	for name, out := range map[string]outcome{
		"before it was sent":   {sent: 3, received: 3, average: -time.Hour, deviation: time.Millisecond},
		"longer than it lasts": {sent: 3, received: 3, average: 1<<63 - 1, deviation: time.Millisecond},
		"a deviation of none":  {sent: 3, received: 3, average: time.Millisecond, deviation: -1 << 63},
		"more than were sent":  {sent: 1, received: 3, average: -1},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &Collector{ping: func(context.Context, round) (outcome, error) { return out, nil }}
			up, ping := say(t, fake, target("127.0.0.1", nil))
			if up.Status != event.StatusUp || up.RTT != 0 || ping.RTT != 0 || ping.Jitter != 0 || ping.Loss != 0 {
				t.Errorf("%+v %+v", up, ping)
			}
		})
	}
}

func TestAnotherCheckOwnsReachability(t *testing.T) {
	up, ping := say(t, New(), target("127.0.0.1", map[string]string{"reachability": "false"}))
	if up != nil || ping.RTT <= 0 {
		t.Errorf("%+v %+v", up, ping)
	}
}

func TestBadParameters(t *testing.T) {
	for _, params := range []map[string]string{{"count": "0"}, {"count": "many"}, {"size": "1"}, {"reachability": "perhaps"}} {
		err := New().Collect(context.Background(), target("127.0.0.1", params), nil)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", params, err)
		}
	}
}

// The library would spin without end on an address that the kernel forbids as
// a broadcast one; its logger is where that ends.
func TestEndlessBroadcastEnds(t *testing.T) {
	var log silent
	var g sync.WaitGroup
	g.Go(func() {
		for {
			log.Infof("Pinging a broadcast address")
		}
	})
	g.Wait() // the test's own deadline catches a spin
	if n := log.broadcasts.Load(); n != maxBroadcasts+1 {
		t.Errorf("ended after %d", n)
	}
}
