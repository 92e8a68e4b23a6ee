package snmp

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testsnmp"
	"midplane/poller/collect"
)

// served returns a target whose agent answers with one of the recordings in
// testdata/cases, and with the lines in more.
func served(t *testing.T, name, more string) collect.Target {
	t.Helper()
	lines, err := os.ReadFile(filepath.Join("testdata", "cases", name+".snmprec"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := testsnmp.Record(string(lines) + more)
	if err != nil {
		t.Fatal(err)
	}
	return simulated(t, testsnmp.Start(t, m))
}

// simulated returns a target for a simulated agent.
func simulated(t *testing.T, a *testsnmp.Agent) collect.Target {
	t.Helper()
	t.Setenv("T_COMMUNITY", "any-community")
	return collect.Target{Device: "r1", Address: a.Addr().Addr().String(), Check: "snmp", Collector: "snmp", Timeout: 3 * time.Second,
		SNMP: &api.SNMP{Version: "2c", Port: int(a.Addr().Port()), Community: "env:T_COMMUNITY"}}
}

// within runs a check that has to end by itself soon.
func within(t *testing.T, d time.Duration, target collect.Target) answers {
	t.Helper()
	done := make(chan answers, 1)
	go func() { done <- say(t, target) }()
	select {
	case got := <-done:
		return got
	case <-time.After(d):
		t.Fatalf("the check has not ended after %s", d)
		return answers{}
	}
}

// daysUp is how long ago the device began to run, in days, 0 when not known.
func daysUp(s answers) float64 {
	if s.inventory == nil || s.inventory.BootTime == nil {
		return 0
	}
	return time.Since(*s.inventory.BootTime).Hours() / 24
}

// An engine time of 184467440737095516 seconds is none: the boot time comes
// from sysUpTime alone, and the check ends.
func TestEngineTimeOutOfRange(t *testing.T) {
	got := within(t, 5*time.Second, served(t, "engine-time-never-ends", ""))
	if days := daysUp(got); got.check.Status != "ok" || days < 497 || days > 497.2 {
		t.Errorf("%+v, up for %.2f days", got.check, days)
	}
}

// One cell is NULL: that one is missing, and nothing else.
func TestNullCell(t *testing.T) {
	for name, cell := range map[string]string{"NULL": "|5|", "noSuchInstance": "|129|", "noSuchObject": "|128|"} {
		t.Run(name, func(t *testing.T) {
			got := within(t, 5*time.Second, served(t, "null-cell", "\n1.3.6.1.2.1.2.2.1.6.1"+cell))
			if len(got.interfaces) != 3 || got.check.Status != "ok" {
				t.Fatalf("%d interfaces, %+v", len(got.interfaces), got.check)
			}
			for index, status := range map[string]string{"1": "up", "2": "up", "3": "down"} {
				v := got.interfaces[event.Entity("r1").Interface(index)]
				if v.OperStatus != status || v.Speed != 1_000_000_000 || v.Alias != "to room "+index {
					t.Errorf("%+v", v)
				}
			}
		})
	}
}

// A host that has been up for no time at all is not believed: its agent is
// older. Nor does an engine time lead to a wrap of that zero.
func TestHostUptimeZero(t *testing.T) {
	for name, more := range map[string]string{"as recorded": "", "with an engine time": "\n1.3.6.1.6.3.10.2.1.3.0|2|4389976"} {
		t.Run(name, func(t *testing.T) {
			target := served(t, "host-uptime-zero", more)
			for range 5 {
				if days := daysUp(within(t, 5*time.Second, target)); days < 50.7 || days > 50.9 {
					t.Errorf("up for %.2f days", days)
				}
			}
		})
	}
}

func TestHighSpeedGarbage(t *testing.T) {
	got := within(t, 5*time.Second, served(t, "high-speed-garbage", ""))
	for index, want := range map[string]uint64{"1": 1_000_000_000, "2": 1_000_000_000, "3": 10_000_000} {
		if v := got.interfaces[event.Entity("r1").Interface(index)]; v.Speed != want {
			t.Errorf("interface %s: %d bit/s, want %d", index, v.Speed, want)
		}
	}
}
