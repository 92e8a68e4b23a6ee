package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"midplane/internal/testsnmp"
)

// targets are what the pollers look at: simulated SNMP devices and one TCP
// port. They count the runs of checks by the second.
type targets struct {
	agents   []*testsnmp.Agent
	listener net.Listener
	began    time.Time
	open     sync.WaitGroup

	mu        sync.Mutex
	perSecond []int
}

// newTargets opens every socket. Each SNMP device has an address of its own.
func newTargets(devices, interfaces int) (*targets, error) {
	t := &targets{began: time.Now()}
	var err error
	if t.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	t.open.Go(t.accept)
	for n, m := range testsnmp.Devices(devices, interfaces) {
		a, err := testsnmp.Serve(fmt.Sprintf("127.1.%d.%d:0", n/250, n%250+1), m, func(k testsnmp.Kind) {
			if k == testsnmp.Get { // a run asks for the system group once, and first
				t.run()
			}
		})
		if err != nil {
			t.close()
			return nil, err
		}
		t.agents = append(t.agents, a)
	}
	return t, nil
}

// addresses are those of the SNMP devices.
func (t *targets) addresses() (out []netip.AddrPort) {
	for _, a := range t.agents {
		out = append(out, a.Addr())
	}
	return out
}

func (t *targets) close() {
	_ = t.listener.Close() // what was measured has been printed
	for _, a := range t.agents {
		a.Close()
	}
	t.open.Wait()
}

// accept takes every connection and holds it until the check closes it.
func (t *targets) accept() {
	for {
		c, err := t.listener.Accept()
		if err != nil {
			return
		}
		t.run()
		t.open.Go(func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // it is open
			_, _ = io.Copy(io.Discard, c)                       // its end is all that is waited for
		})
	}
}

// run counts the begin of one run.
func (t *targets) run() {
	t.mu.Lock()
	defer t.mu.Unlock()
	second := int(time.Since(t.began) / time.Second)
	for len(t.perSecond) <= second {
		t.perSecond = append(t.perSecond, 0)
	}
	t.perSecond[second]++
}

// between returns the runs of every whole second between two moments.
func (t *targets) between(from, to time.Time) []float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []float64
	first, end := int(from.Sub(t.began)/time.Second)+1, int(to.Sub(t.began)/time.Second)
	for s := first; s < end; s++ {
		n := 0
		if s < len(t.perSecond) {
			n = t.perSecond[s]
		}
		out = append(out, float64(n))
	}
	return out
}

// peak is the largest value, average the mean.
func peak(v []float64) (most float64) {
	for _, x := range v {
		most = max(most, x)
	}
	return most
}

func average(v []float64) (mean float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	return mean
}
