package snmp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gosnmp/gosnmp"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testsnmp"
	"midplane/poller/collect"
)

// between is a target whose requests go to an agent, and whose answers come back as
// change makes them; change may return nil, and then no answer comes.
func between(t *testing.T, agent collect.Target, change func(request, answer *gosnmp.SnmpPacket) *gosnmp.SnmpPacket) collect.Target {
	t.Helper()
	server := udp(t)
	line, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", agent.SNMP.Port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { line.Close() })
	codec := &gosnmp.GoSNMP{Version: gosnmp.Version2c}
	go func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := server.ReadFromUDP(buf)
			if err != nil {
				return
			}
			request, err := codec.SnmpDecodePacket(append([]byte(nil), buf[:n]...))
			if err == nil {
				_, err = line.Write(buf[:n])
			}
			if err == nil {
				n, err = line.Read(buf)
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			answer, err := codec.SnmpDecodePacket(append([]byte(nil), buf[:n]...))
			if err != nil {
				t.Error(err)
				return
			}
			if answer = change(request, answer); answer == nil {
				continue
			}
			data, err := answer.MarshalMsg()
			if err == nil {
				_, err = server.WriteToUDP(data, from)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	settings := *agent.SNMP
	settings.Port = server.LocalAddr().(*net.UDPAddr).Port
	agent.SNMP = &settings
	return agent
}

// holes is a recorded device with as many interfaces, some of whose cells are missing.
func holes(t *testing.T, interfaces int, r *rand.Rand) *testsnmp.MIB {
	t.Helper()
	lines := []string{"1.3.6.1.2.1.1.5.0|4|sw1"}
	add := func(entry string, column, index int, value string) {
		if r.IntN(20) > 0 { // a cell is missing in one of twenty cases
			lines = append(lines, fmt.Sprintf("%s.%d.%d|%s", strings.TrimPrefix(entry, "."), column, index, value))
		}
	}
	for range interfaces {
		index := len(lines)*1000 + r.IntN(1000) // rising
		number := func(tag int) string { return fmt.Sprintf("%d|%d", tag, r.IntN(1<<31)) }
		word := func() string { return "4|" + strings.Repeat("x", 1+r.IntN(60)) }
		add(ifEntry, 2, index, word())
		for _, c := range []int{1, 3, 4, 7, 8} {
			add(ifEntry, c, index, fmt.Sprintf("2|%d", 1+r.IntN(2)))
		}
		for _, c := range []int{10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21} {
			add(ifEntry, c, index, number(65))
		}
		add(ifXEntry, 1, index, word())
		add(ifXEntry, 18, index, word())
		for _, c := range []int{2, 3, 4, 5} {
			add(ifXEntry, c, index, number(65))
		}
		for _, c := range []int{6, 7, 8, 9, 10, 11, 12, 13} {
			add(ifXEntry, c, index, number(70))
		}
		add(entPhysicalEntry, 2, index%60000, word())
		add(entPhysicalEntry, 5, index%60000, "2|9")
		add(entPhysicalEntry, 11, index%60000, word())
	}
	seen := map[string]bool{}
	var text strings.Builder
	for _, line := range lines {
		if name, _, _ := strings.Cut(line, "|"); !seen[name] {
			seen[name] = true
			text.WriteString(line + "\n")
		}
	}
	m, err := testsnmp.Record(text.String())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// However much of its tables an agent gives at once, what is read of them is the same.
func TestAnyAnswersTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 9))
	few := func(request, answer *gosnmp.SnmpPacket) *gosnmp.SnmpPacket {
		if request.PDUType == gosnmp.GetBulkRequest {
			answer.Variables = answer.Variables[:1+len(answer.Variables)/3]
		}
		return answer
	}
	small := func(request, answer *gosnmp.SnmpPacket) *gosnmp.SnmpPacket {
		if request.PDUType == gosnmp.GetBulkRequest && request.MaxRepetitions > 10 {
			answer.Error, answer.Variables = gosnmp.TooBig, nil
		}
		return answer
	}
	lossy := func() func(_, answer *gosnmp.SnmpPacket) *gosnmp.SnmpPacket {
		answered := 0
		return func(_, answer *gosnmp.SnmpPacket) *gosnmp.SnmpPacket {
			if answered++; answered == 4 {
				return nil
			}
			return answer
		}
	}
	for _, interfaces := range []int{0, 1, 2, 9, 10, 11, 48, 100} {
		t.Run(itoa(interfaces), func(t *testing.T) {
			target := simulated(t, testsnmp.Start(t, holes(t, interfaces, r)))
			target.Timeout = time.Minute
			with := func(repetitions int) collect.Target {
				other, settings := target, *target.SNMP
				settings.MaxRepetition = repetitions
				other.SNMP = &settings
				return other
			}
			want := say(t, with(1))
			if len(want.interfaces) < interfaces*9/10 || want.check.Status != event.CheckOK {
				t.Fatalf("%d interfaces, %+v", len(want.interfaces), want.check)
			}
			for name, target := range map[string]collect.Target{
				"as many as fit": target, "3": with(3), "1000": with(1000),
				"fewer than asked": between(t, target, few), "too big": between(t, target, small), "one is lost": between(t, target, lossy()),
			} {
				if name == "one is lost" && interfaces != 10 {
					continue // it takes as long as a request may
				}
				got := say(t, target)
				if d := cmp.Diff(want, got, cmp.AllowUnexported(answers{}), cmpopts.IgnoreFields(event.Check{}, "Latency"),
					cmpopts.IgnoreFields(event.Check{}, "Target")); d != "" {
					t.Errorf("%s: (-one at a time +it):\n%s", name, d)
				}
			}
		})
	}
}

// A device is asked as seldom as its values allow, and an answer fits into a packet.
func TestRequestsOfAPoll(t *testing.T) {
	const packet = 1472 // bytes of UDP on Ethernet
	for interfaces, most := range map[int]int64{0: 6, 1: 4, 10: 8, 48: 30} {
		var asked atomic.Int64
		largest := 0
		agent := simulated(t, testsnmp.Start(t, testsnmp.Device(interfaces)))
		got := say(t, between(t, agent, func(_, answer *gosnmp.SnmpPacket) *gosnmp.SnmpPacket {
			asked.Add(1)
			data, err := answer.MarshalMsg()
			if err != nil {
				t.Error(err)
			}
			largest = max(largest, len(data))
			return answer
		}))
		if len(got.interfaces) != interfaces || len(got.counters) != interfaces || got.check.Status != event.CheckOK {
			t.Fatalf("%d interfaces, %d with counters, %+v", len(got.interfaces), len(got.counters), got.check)
		}
		if n := asked.Load(); n > most {
			t.Errorf("%d interfaces: %d requests, at most %d", interfaces, n, most)
		}
		if largest > packet {
			t.Errorf("%d interfaces: an answer of %d bytes", interfaces, largest)
		}
		t.Logf("%d interfaces: %d requests, the largest answer has %d bytes", interfaces, asked.Load(), largest)
	}
}

// One collector asks agents by turns, with buffers that it uses again: nothing of one
// answer is left in the next, whoever was asked before and however that ended.
func TestBuffersAreUsedAgain(t *testing.T) {
	a := start(t)
	c := New()
	target := func(settings api.SNMP) collect.Target {
		target := a.target(settings)
		target.Timeout = 3 * time.Second
		return target
	}
	all, narrow := target(api.SNMP{Version: "2c", Community: "env:T_COMMUNITY"}), target(api.SNMP{Version: "2c", Community: "env:T_NARROW", MaxRepetition: 2})
	wrong, nobody := target(api.SNMP{Version: "2c", Community: "env:T_WRONG"}), target(api.SNMP{Version: "2c", Community: "env:T_COMMUNITY"})
	wrong.Timeout, nobody.SNMP.Port = 300*time.Millisecond, freePort(t)
	device := testsnmp.Start(t, testsnmp.Device(3))
	other := target(api.SNMP{Version: "2c", Community: "env:T_COMMUNITY"})
	other.SNMP.Port = int(device.Addr().Port())
	for round := range 3 {
		for name, tt := range map[string]struct {
			target collect.Target
			status string
			device string // its name
			serial string
		}{
			"all": {all, event.CheckOK, "lab-router", "SN0001"}, "narrow": {narrow, event.CheckOK, "lab-router", ""},
			"v3": {a.user(users[1]), event.CheckOK, "lab-router", "SN0001"}, "another device": {other, event.CheckOK, "simulated", ""},
			"wrong community": {wrong, event.CheckCritical, "", ""}, "nobody there": {nobody, event.CheckCritical, "", ""},
		} {
			got := ask(t, c, tt.target)
			var v event.Inventory
			if got.inventory != nil {
				v = *got.inventory
			}
			if got.check.Status != tt.status || v.Name != tt.device || v.Serial != tt.serial {
				t.Errorf("round %d, %s: %+v, %+v", round, name, got.check, v)
			}
		}
	}
}

// An agent that was started again is asked as before, and many at once are, with one
// collector.
func TestManyAtOnceAndAgain(t *testing.T) {
	t.Setenv("T_COMMUNITY", "any-community")
	c := New()
	at := "127.0.0.1:0"
	for range 3 {
		agent, err := testsnmp.Serve(at, testsnmp.Device(4), nil)
		if err != nil {
			t.Fatal(err)
		}
		at = agent.Addr().String()
		target := collect.Target{Device: "r1", Address: "127.0.0.1", Check: "snmp", Collector: "snmp", Timeout: 10 * time.Second,
			SNMP: &api.SNMP{Version: "2c", Port: int(agent.Addr().Port()), Community: "env:T_COMMUNITY"}}
		done := make(chan error, 20)
		for range cap(done) {
			go func() {
				interfaces := 0
				err := c.Collect(context.Background(), target, func(_ context.Context, es ...event.Event) error {
					for _, e := range es {
						if e.Type == event.TypeInterface {
							interfaces++
						}
					}
					return nil
				})
				if err == nil && interfaces != 4 {
					err = fmt.Errorf("%d interfaces", interfaces)
				}
				done <- err
			}()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		agent.Close()
	}
}
