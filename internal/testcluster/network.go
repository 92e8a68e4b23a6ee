package testcluster

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Network is what the nodes' routes to each other lead through when a test is to
// cut them or to make them slow: one relay for each direction in which a connection is made.
type Network struct {
	mu     sync.Mutex
	cut    map[int]bool  // nodes that reach no other
	slow   map[int]int   // bytes per second that a node gets over one connection
	healed chan struct{} // closed and made again at every change
	relays map[[2]int]net.Listener
	done   chan struct{}
	conns  sync.WaitGroup
}

func newNetwork() *Network {
	return &Network{cut: map[int]bool{}, slow: map[int]int{}, healed: make(chan struct{}), relays: map[[2]int]net.Listener{}, done: make(chan struct{})}
}

// between returns the address at which one node reaches another's route. Of itself
// a node tells the others an address that leads nowhere: what they learn from each
// other must not lead around the relays.
func (n *Network) between(from, to int, addr string) (string, error) {
	if from == to {
		return "127.0.0.1:1", nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.relays[[2]int{from, to}]
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "", err
		}
		n.relays[[2]int{from, to}] = l
		go n.relay(l, from, to, addr)
	}
	return l.Addr().String(), nil
}

func (n *Network) relay(l net.Listener, from, to int, addr string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		n.conns.Go(func() {
			defer in.Close()
			if n.wait(from, to) != nil {
				return
			}
			out, err := net.Dial("tcp", addr)
			if err != nil {
				return
			}
			defer out.Close()
			n.conns.Go(func() { n.copy(out, in, from, to, to) })
			n.copy(in, out, from, to, from)
		})
	}
}

// copy copies until one side ends. While the two nodes are cut off from each other
// nothing gets through and nothing is closed, as when packets are dropped.
func (n *Network) copy(to, from net.Conn, a, b, receiver int) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		k, err := from.Read(buf)
		if n.wait(a, b) != nil {
			return
		}
		if rate := n.rate(receiver); rate > 0 {
			time.Sleep(time.Duration(k) * time.Second / time.Duration(rate))
		}
		if k > 0 {
			if _, err := to.Write(buf[:k]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (n *Network) rate(node int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.slow[node]
}

// Slow bounds what a node gets over each of its connections to others, in bytes per
// second; 0: as much as there is.
func (n *Network) Slow(node, rate int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slow[node] = rate
}

var errClosed = errors.New("the network is closed")

// wait waits until two nodes reach each other.
func (n *Network) wait(a, b int) error {
	for {
		n.mu.Lock()
		cut, healed := n.cut[a] || n.cut[b], n.healed
		n.mu.Unlock()
		if !cut {
			return nil
		}
		select {
		case <-healed:
		case <-n.done:
			return errClosed
		}
	}
}

// Cut cuts the nodes with these numbers, of 0 to 2, off from all others, and heals
// the rest: with none, everything.
func (n *Network) Cut(nodes ...int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = map[int]bool{}
	for _, i := range nodes {
		n.cut[i] = true
	}
	close(n.healed)
	n.healed = make(chan struct{})
}

var _ io.Closer = (*Network)(nil)

// Close ends every relay.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	for _, l := range n.relays {
		errs = append(errs, l.Close())
	}
	close(n.done)
	return errors.Join(errs...)
}
