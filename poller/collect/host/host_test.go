package host

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"

	"midplane/event"
	"midplane/poller/collect"
	"midplane/poller/collect/collecttest"
)

func target(params map[string]string) collect.Target {
	return collect.Target{Device: "me", Check: "host", Collector: "host", Timeout: 5 * time.Second, Params: params}
}

func TestExam(t *testing.T) {
	collecttest.Run(t, collecttest.Exam{
		Collector: New(),
		Working:   func(*testing.T) collect.Target { return target(nil) },
		Broken: func(*testing.T) collect.Target {
			return target(map[string]string{"reachability": "perhaps"})
		},
		Types: []event.Type{event.TypeReachability, event.TypeInventory, event.TypeInterface, event.TypeCounters, event.TypeLoad},
	})
}

// decode is every payload of one type by entity.
func decode[T any](t *testing.T, es []event.Event, typ event.Type) map[event.Entity]T {
	t.Helper()
	out := map[event.Entity]T{}
	for _, e := range es {
		if e.Type == typ {
			var v T
			if err := json.Unmarshal(e.Data, &v); err != nil {
				t.Error(err)
			}
			out[e.Entity] = v
		}
	}
	return out
}

func say(t *testing.T, params map[string]string) (out []event.Event) {
	t.Helper()
	err := New().Collect(context.Background(), target(params), func(_ context.Context, es ...event.Event) error {
		out = append(out, es...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestThisMachine(t *testing.T) {
	es := say(t, nil)
	inventory := decode[event.Inventory](t, es, event.TypeInventory)["me"]
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if inventory.Name != name || inventory.OS == "" || inventory.Description == "" {
		t.Errorf("%+v", inventory)
	}
	if at := inventory.BootTime; at == nil || at.After(time.Now()) {
		t.Errorf("boot time %v", at)
	}
	classes := map[string]int{}
	for _, c := range inventory.Components {
		classes[c.Class]++
	}
	if classes["cpu"] == 0 || classes["memory"] != 1 {
		t.Errorf("components %+v", inventory.Components)
	}
	load := decode[event.Load](t, es, event.TypeLoad)["me"]
	if load.MemTotal == 0 || load.MemUsed == 0 || load.MemUsed > load.MemTotal || load.DiskTotal == 0 || load.Uptime == 0 {
		t.Errorf("%+v", load)
	}
	up := decode[event.Reachability](t, es, event.TypeReachability)["me"]
	if up.Status != event.StatusUp || up.Method != "host" {
		t.Errorf("%+v", up)
	}
}

func TestLoopbackIsUpAndCounts(t *testing.T) {
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	before := say(t, nil)
	for _, i := range list {
		if i.Flags&net.FlagLoopback == 0 {
			continue
		}
		entity := event.Entity("me").Interface(strconv.Itoa(i.Index))
		v, ok := decode[event.Interface](t, before, event.TypeInterface)[entity]
		if !ok || v.Name != i.Name || v.AdminStatus != "up" || v.OperStatus != "up" || v.MTU != uint64(i.MTU) {
			t.Errorf("%+v", v)
		}
		// A datagram to itself is seen in the next reading.
		c, err := net.Dial("udp", "127.0.0.1:9")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		a := decode[event.Counters](t, before, event.TypeCounters)[entity]
		b := decode[event.Counters](t, say(t, nil), event.TypeCounters)[entity]
		if b.InOctets < a.InOctets+1000 || b.OutPackets <= a.OutPackets {
			t.Errorf("before %+v, after %+v", a, b)
		}
	}
}

func TestAnotherCheckOwnsReachability(t *testing.T) {
	es := say(t, map[string]string{"reachability": "false"})
	if got := decode[event.Reachability](t, es, event.TypeReachability); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestPercent(t *testing.T) {
	at := func(user, idle, wait float64) cpu.TimesStat {
		return cpu.TimesStat{User: user, Idle: idle, Iowait: wait}
	}
	for name, tt := range map[string]struct {
		before, after cpu.TimesStat
		want          float64
	}{
		"half busy":           {at(10, 10, 0), at(15, 15, 0), 50},
		"waiting for a disk":  {at(10, 10, 0), at(10, 10, 5), 0},
		"no time has passed":  {at(10, 10, 0), at(10, 10, 0), 0},
		"idle went backwards": {at(10, 10, 1), at(12, 10, 0.5), 100},
		"a third":             {at(0, 0, 0), at(1, 2, 0), 33.33},
	} {
		if got := percent(tt.before, tt.after); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// The kernel's numbers are believed within what can be.
func TestNumbersThatCannotBe(t *testing.T) {
	for text, want := range map[string]uint64{"10000": 10_000_000_000, "-1": 0, "": 0, "4294967295": 0, "9223372036854775807": 0} {
		if got := bits(text); got != want {
			t.Errorf("speed %q: %d, want %d", text, got, want)
		}
	}
	for unix, want := range map[uint64]bool{0: false, 1_700_000_000: true, maxBoot: true, maxBoot + 1: false, 1<<64 - 1: false} {
		at, ok := booted(unix)
		if _, err := json.Marshal(at); ok != want || err != nil {
			t.Errorf("boot time %d: %v %v, %v", unix, at, ok, err)
		}
	}
}
