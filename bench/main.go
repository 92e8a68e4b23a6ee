// Command bench measures Midplane against what it stands on, in one run on one
// machine: rates are quoted beside the raw limit of the same run, as ratios
// with their range. It is a program of its own and imports what it measures. Load goes to
// loopback only, is bounded in count, and ends by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// a benchmark by its name on the command line.
type benchmark struct {
	name, what string
	run        func(ctx context.Context, o options) (result, error)
}

// options are the flags.
type options struct {
	rounds  int
	count   int // messages per round
	short   bool
	load    loadSize // 0: the sizes of the form
	tenants int      // 0: those of the benchmark
}

// result is one floor's figures.
type result struct {
	floor string // what is asked
	got   string
	ok    bool
	text  []string
}

func main() { os.Exit(execute()) }

func execute() int {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		return child(os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == pollerArg {
		return childPoller(os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == agentsArg {
		return childAgents(os.Args[2:])
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "interleaved rounds of each measurement")
	flag.IntVar(&o.count, "count", 60_000, "messages per round and size")
	flag.BoolVar(&o.short, "short", false, "fewer tenants, devices and rounds, for trying the benchmark itself")
	flag.IntVar(&o.tenants, "tenants", 0, "tenants of the benchmark idle (default 300)")
	o.load.flags()
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: bench [flags] NAME…\n\nNAME is floors, or one of:")
		for _, b := range benchmarks {
			fmt.Fprintf(os.Stderr, "  %-10s %s\n", b.name, b.what)
		}
		flag.PrintDefaults()
	}
	flag.Parse()
	if o.short {
		o.rounds, o.count = min(o.rounds, 2), min(o.count, 10_000)
	}
	chosen, err := choose(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, chosen, o)
}

// benchmarks is the one list.
var benchmarks = []benchmark{
	{"ingress", "messages/s and CPU through the door ÷ straight to the stream, 256 B and 1 KB", ingressRate},
	{"unbounded", "messages/s with streams that have no MaxBytes ÷ with it, by the number of subjects", unboundedRate},
	{"latency", "one synchronous publish through the door ÷ straight to the stream", ingressLatency},
	{"fold", "events/s into the primary's database, beside plain inserts", foldRate},
	{"noisy", "one tenant's publish latency while another sends ten times its rate", noisyTenant},
	{"tenants", "cost per publish with 1, 100 and 300 tenants", tenantScaling},
	{"idle", "CPU and memory of tenants that do nothing, with their pollers and a primary in one process", idleCost},
	{"start", "from start to the first device up", startTime},
	{"apply", "a tenant of two sites and 50 devices, from apply to Ready", applyTime},
	{"parts", "a tenant of 20,000 devices, one of them changed, and 50,000 devices in a deployment, without pollers", manyDevices},
	{"load", "pollers with 500 SNMP devices and 5,000 TCP checks on default quotas: start, steady work, an outage of ten minutes", loadRun},
	{"unchanged", "polls of 2,000 SNMP devices in which nothing has changed: CPU, messages, and bytes stored and written", unchangedCost},
	{"reads", "what the command line and the page ask a primary with 50,000 devices", readsRun},
	{"commit", "from an event's acknowledgement until the primary has committed it and shows it, quiet and while the stream's leader is killed", commitTime},
	{"failover", "publish gap after kill −9 of the stream's leader", failover},
}

// floors are those that `make floors` shows.
var floors = []string{"start", "ingress", "latency", "fold", "commit", "failover", "apply"}

func choose(names []string) ([]benchmark, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("no benchmark named; see bench -h")
	}
	if len(names) == 1 && names[0] == "floors" {
		names = floors
	}
	var out []benchmark
	for _, n := range names {
		found := false
		for _, b := range benchmarks {
			if b.name == n {
				out, found = append(out, b), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no benchmark %q; see bench -h", n)
		}
	}
	return out, nil
}

// run prints every figure and returns 1 when a floor is missed.
func run(ctx context.Context, chosen []benchmark, o options) int {
	code := 0
	var summary []string
	for _, b := range chosen {
		fmt.Printf("== %s: %s\n", b.name, b.what)
		r, err := b.run(ctx, o)
		if err != nil {
			fmt.Printf("   failed: %v\n", err)
			summary = append(summary, fmt.Sprintf("MISSED  %-9s failed: %v", b.name, err))
			code = 1
			continue
		}
		for _, line := range r.text {
			fmt.Println("   " + line)
		}
		state := "reached"
		if !r.ok {
			state, code = "MISSED", 1
		}
		if r.floor != "" {
			summary = append(summary, fmt.Sprintf("%-7s  %-9s %s; floor: %s", state, b.name, r.got, r.floor))
		}
	}
	fmt.Println("== floors")
	for _, line := range summary {
		fmt.Println("   " + line)
	}
	return code
}
