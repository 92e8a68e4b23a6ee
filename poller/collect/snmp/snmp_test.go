package snmp

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/poller/collect/collecttest"
)

// answers is what one run emits.
type answers struct {
	check      event.Check
	up         *event.Reachability
	inventory  *event.Inventory
	interfaces map[event.Entity]event.Interface
	counters   map[event.Entity]event.Counters
}

func say(t *testing.T, target collect.Target) answers {
	t.Helper()
	return ask(t, New(), target)
}

// ask is say with a collector that has run before.
func ask(t *testing.T, c Collector, target collect.Target) answers {
	t.Helper()
	out := answers{interfaces: map[event.Entity]event.Interface{}, counters: map[event.Entity]event.Counters{}}
	err := c.Collect(context.Background(), target, func(_ context.Context, es ...event.Event) error {
		for _, e := range es {
			switch e.Type {
			case event.TypeCheck:
				out.check = decode[event.Check](t, e)
			case event.TypeReachability:
				v := decode[event.Reachability](t, e)
				out.up = &v
			case event.TypeInventory:
				v := decode[event.Inventory](t, e)
				out.inventory = &v
			case event.TypeInterface:
				out.interfaces[e.Entity] = decode[event.Interface](t, e)
			case event.TypeCounters:
				out.counters[e.Entity] = decode[event.Counters](t, e)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func decode[T any](t *testing.T, e event.Event) (v T) {
	t.Helper()
	if err := json.Unmarshal(e.Data, &v); err != nil {
		t.Error(err)
	}
	return v
}

func TestExam(t *testing.T) {
	a := start(t)
	v2c := func(*testing.T) collect.Target {
		target := a.target(api.SNMP{Version: "2c", Community: "env:T_COMMUNITY"})
		target.Params = map[string]string{"reachability": "true"}
		return target
	}
	v3 := func(*testing.T) collect.Target { return a.user(users[5]) }
	for name, e := range map[string]collecttest.Exam{
		"v2c": {Working: v2c, Broken: func(*testing.T) collect.Target {
			target := a.target(api.SNMP{Version: "2c", Community: "env:T_WRONG"})
			target.Timeout = time.Second
			return target
		}},
		"v3": {Working: v3, Broken: func(t *testing.T) collect.Target {
			target := v3(t)
			target.SNMP.AuthSecret = "env:T_WRONG"
			return target
		}},
	} {
		t.Run(name, func(t *testing.T) {
			e.Collector = New()
			e.Silent = func(t *testing.T) collect.Target {
				target := e.Working(t)
				target.SNMP.Port = udp(t).LocalAddr().(*net.UDPAddr).Port
				return target
			}
			e.Types = []event.Type{event.TypeCheck, event.TypeTiming, event.TypeInventory, event.TypeInterface, event.TypeCounters}
			e.Secrets = []string{a.community, a.narrow, a.auth, a.priv}
			collecttest.Run(t, e)
		})
	}
}

func TestInventoryOfRealAgent(t *testing.T) {
	a := start(t)
	got := say(t, a.target(api.SNMP{Version: "2c", Community: "env:T_COMMUNITY"}))
	if got.inventory == nil {
		t.Fatalf("no inventory: %+v", got.check)
	}
	want := event.Inventory{Device: "r1", Name: "lab-router", Contact: "noc", Location: location,
		ObjectID: ".1.3.6.1.4.1.8072.3.2.10", Model: "X-1000", Serial: "SN0001", OS: "7.4.2",
		Components: []event.Component{
			{Index: "1", Class: "chassis", Name: "Chassis", Model: "X-1000", Serial: "SN0001"},
			{Index: "2", Class: "module", Name: "Line card", Model: "LC-8", Serial: "SN0002"},
		}}
	if diff := cmp.Diff(want, *got.inventory, cmpopts.IgnoreFields(event.Inventory{}, "Description", "BootTime")); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(got.inventory.Description, "Linux ") {
		t.Errorf("description %q", got.inventory.Description)
	}
	if at := got.inventory.BootTime; at == nil || at.After(time.Now()) {
		t.Errorf("boot time %v", at)
	}
	if got.up != nil {
		t.Errorf("it was not asked for reachability, but says %+v", got.up)
	}
}

// What the agent says of the interfaces is what the kernel says of them.
func TestInterfacesOfRealAgent(t *testing.T) {
	a := start(t)
	for name, target := range map[string]collect.Target{
		"v2c, three at a time":        a.target(api.SNMP{Version: "2c", Community: "env:T_COMMUNITY", MaxRepetition: 3}),
		"v2c, as many as fit":         a.target(api.SNMP{Version: "2c", Community: "env:T_COMMUNITY"}),
		"v2c, a thousand at a time":   a.target(api.SNMP{Version: "2c", Community: "env:T_COMMUNITY", MaxRepetition: 1000}),
		"agent without ifXTable":      a.target(api.SNMP{Version: "2c", Community: "env:T_NARROW"}),
		"v3 with encryption, AES-256": a.user(users[3]),
	} {
		t.Run(name, func(t *testing.T) {
			got := say(t, target)
			if got.check.Status != event.CheckOK {
				t.Fatalf("%+v", got.check)
			}
			list, err := net.Interfaces()
			if err != nil || len(list) == 0 {
				t.Fatalf("%d interfaces, %v", len(list), err)
			}
			for _, i := range list {
				entity := event.Entity("r1").Interface(itoa(i.Index))
				v, ok := got.interfaces[entity]
				admin := "down"
				if i.Flags&net.FlagUp != 0 {
					admin = "up"
				}
				if !ok || v.Name != i.Name || v.AdminStatus != admin || v.MTU != uint64(i.MTU) || v.MAC != i.HardwareAddr.String() {
					t.Errorf("kernel: %+v\nagent: %+v", i, v)
				}
				if i.Flags&net.FlagLoopback != 0 && got.counters[entity].InOctets == 0 {
					t.Errorf("the loopback interface carried these very questions, but counts %+v", got.counters[entity])
				}
			}
		})
	}
}

func TestEveryProtocol(t *testing.T) {
	a := start(t)
	for _, u := range users {
		t.Run(u.AuthProtocol+" "+u.PrivProtocol, func(t *testing.T) {
			if got := say(t, a.user(u)); got.check.Status != event.CheckOK || got.inventory == nil || len(got.interfaces) == 0 {
				t.Errorf("%+v", got.check)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	a := start(t)
	good := a.user(users[1])
	for name, tt := range map[string]struct {
		change func(*api.SNMP)
		says   string
		up     string
	}{
		"unknown user":        {func(s *api.SNMP) { s.User = "nobody" }, "wrong user, authentication secret", event.StatusUp},
		"wrong auth secret":   {func(s *api.SNMP) { s.AuthSecret = "env:T_WRONG" }, "wrong user, authentication secret", event.StatusUp},
		"level not offered":   {func(s *api.SNMP) { s.PrivProtocol = "" }, "the agent answers AuthorizationError", event.StatusUp},
		"wrong priv secret":   {func(s *api.SNMP) { s.PrivSecret = "env:T_WRONG" }, "", ""},
		"nothing at the port": {func(s *api.SNMP) { s.Port = freePort(t) }, "connection refused", event.StatusDown},
	} {
		t.Run(name, func(t *testing.T) {
			target, settings := good, *good.SNMP
			tt.change(&settings)
			target.SNMP, target.Timeout = &settings, 2*time.Second
			target.Params = map[string]string{"reachability": "true"}
			got := say(t, target)
			if got.check.Status != event.CheckCritical || !strings.Contains(got.check.Message, tt.says) || got.inventory != nil {
				t.Errorf("%+v", got.check)
			}
			if tt.up != "" && (got.up == nil || got.up.Status != tt.up) {
				t.Errorf("%+v, want %s", got.up, tt.up)
			}
		})
	}
}

// An agent that answers and shows nothing is up, and no use.
func TestNothingToSee(t *testing.T) {
	a := start(t)
	target := a.target(api.SNMP{Version: "2c", Community: "env:T_BLIND"})
	target.Params = map[string]string{"reachability": "true"}
	got := say(t, target)
	if got.check.Status != event.CheckCritical || !strings.Contains(got.check.Message, "shows no system group") || got.inventory != nil ||
		got.up == nil || got.up.Status != event.StatusUp {
		t.Errorf("%+v %+v", got.check, got.up)
	}
}

func TestBadSettings(t *testing.T) {
	t.Setenv("T_SHORT", "seven77")
	v3 := api.SNMP{Version: "3", User: "u", AuthProtocol: "SHA", AuthSecret: "env:T_SHORT"}
	for name, tt := range map[string]struct {
		settings *api.SNMP
		kind     fault.Kind
	}{
		"none":                 {nil, fault.Invalid},
		"version 1":            {&api.SNMP{Version: "1"}, fault.Invalid},
		"no community":         {&api.SNMP{Version: "2c"}, fault.Invalid},
		"community in clear":   {&api.SNMP{Version: "2c", Community: "seven77"}, fault.Invalid},
		"variable that is not": {&api.SNMP{Version: "2c", Community: "env:T_NOT_THERE"}, fault.NotFound},
		"no user":              {&api.SNMP{Version: "3"}, fault.Invalid},
		"unknown protocol":     {&api.SNMP{Version: "3", User: "u", AuthProtocol: "ROT13"}, fault.Invalid},
		"privacy without auth": {&api.SNMP{Version: "3", User: "u", PrivProtocol: "AES"}, fault.Invalid},
		"secret that is short": {&v3, fault.Invalid},
		"port out of range":    {&api.SNMP{Version: "2c", Port: 70000}, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			err := New().Collect(context.Background(), collect.Target{Device: "r1", Address: "127.0.0.1", Check: "snmp",
				Collector: "snmp", Timeout: time.Second, SNMP: tt.settings}, nil)
			if !fault.Is(err, tt.kind) || strings.Contains(err.Error(), "seven77") {
				t.Errorf("%v is %s, want %s", err, fault.KindOf(err), tt.kind)
			}
		})
	}
}
