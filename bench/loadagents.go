package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
)

// agentsArg begins the command line of simulated devices in their own process.
const agentsArg = "-child-agents"

// agentsOrder is how many devices are simulated.
type agentsOrder struct{ Devices, Interfaces int }

// childAgents is the devices' process. It prints their addresses, and ends when
// standard input does.
func childAgents(args []string) int {
	var o agentsOrder
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		fmt.Fprintln(os.Stderr, "devices:", err)
		return 1
	}
	t, err := newTargets(o.Devices, o.Interfaces)
	if err != nil {
		fmt.Fprintln(os.Stderr, "devices:", err)
		return 1
	}
	defer t.close()
	if err := json.NewEncoder(os.Stdout).Encode(t.addresses()); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // its end is the message
	return 0
}

// startAgents starts simulated devices in a process of their own.
func startAgents(ctx context.Context, size loadSize) (addresses []netip.AddrPort, stop func(), err error) {
	p, err := startSub(ctx, agentsArg, agentsOrder{size.devices, size.interfaces})
	if err != nil {
		return nil, nil, err
	}
	stop = func() { _ = p.in.Close(); _ = p.cmd.Wait() } // what was measured has been printed
	if err := json.NewDecoder(bufio.NewReader(p.out)).Decode(&addresses); err != nil {
		stop()
		return nil, nil, fmt.Errorf("simulated devices: %w", err)
	}
	return addresses, stop, nil
}
