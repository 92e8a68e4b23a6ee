package snmp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testsnmp"
	"midplane/poller/collect"
)

// benchDevices is how many devices BenchmarkCollect asks by turns.
const benchDevices = 50

// The child of BenchmarkCollect is its devices: in a process of their own, so that
// what they cost is not counted. It prints their ports, and ends when its input does.
func TestMain(m *testing.M) {
	if os.Getenv("MIDPLANE_TEST_AGENTS") == "" {
		os.Exit(m.Run())
	}
	for _, mib := range testsnmp.Devices(benchDevices, 10) {
		a, err := testsnmp.Serve("127.0.0.1:0", mib, nil)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(a.Addr().Port())
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// BenchmarkCollect polls devices of ten interfaces. It reports the CPU time of this
// process, which the poller has beside a device's own.
func BenchmarkCollect(b *testing.B) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MIDPLANE_TEST_AGENTS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	var targets []collect.Target
	for lines := bufio.NewScanner(out); len(targets) < benchDevices && lines.Scan(); {
		port, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			b.Fatal(err)
		}
		targets = append(targets, collect.Target{Device: event.Entity(fmt.Sprint("r", port)), Address: "127.0.0.1", Check: "snmp", Collector: "snmp",
			Timeout: 10 * time.Second, SNMP: &api.SNMP{Version: "2c", Community: "env:T_COMMUNITY", Port: port}})
	}
	b.Setenv("T_COMMUNITY", "simulated")
	c := New()
	before, polls := cpu(b), 0
	b.ReportAllocs()
	for b.Loop() {
		emitted := 0
		if err := c.Collect(context.Background(), targets[polls%len(targets)], func(_ context.Context, es ...event.Event) error {
			emitted += len(es)
			return nil
		}); err != nil || emitted < 20 {
			b.Fatal(emitted, err)
		}
		polls++
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(polls), "µs-cpu/poll")
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
