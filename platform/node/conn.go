package node

import (
	"net"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/fault"
	"midplane/internal/pulse"
)

// Dial returns the option with which a client connects in-process.
func (n *Node) Dial() nats.Option { return nats.InProcessServer(n) }

// InProcessConn implements nats.InProcessConnProvider.
func (n *Node) InProcessConn() (net.Conn, error) {
	srv := n.srv.Load()
	if srv == nil {
		return nil, fault.New(fault.Unavailable, "node %s has not started", n.cfg.Name)
	}
	c, err := srv.InProcessConn()
	if err != nil {
		return nil, err
	}
	return buffered(c, n.cfg.Pulse), nil
}

// bufferedConn writes through a queue. net.Pipe has no buffer: while the
// server writes its refusal of a login and the client still writes, both would
// wait for each other until a timeout of 40 seconds. When the process stood still
// it breaks: what waits in it is too old.
type bufferedConn struct {
	net.Conn
	pulse  *pulse.Pulse
	mu     sync.Mutex
	cond   *sync.Cond
	queue  []byte
	spare  []byte
	err    error
	closed bool
}

// maxQueue bounds what waits for the server; a writer then waits too. It is handed
// over in pieces of onePiece.
const (
	maxQueue = 8 << 20
	onePiece = 32 << 10
)

var errStopped = fault.New(fault.Unavailable, "the process stood still")

func buffered(c net.Conn, p *pulse.Pulse) *bufferedConn {
	b := &bufferedConn{Conn: c, pulse: p}
	b.cond = sync.NewCond(&b.mu)
	go b.drain()
	return b
}

func (b *bufferedConn) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) > maxQueue && b.err == nil && !b.closed {
		b.cond.Wait()
	}
	if b.closed {
		return 0, net.ErrClosed
	}
	if b.err != nil {
		return 0, b.err
	}
	if b.pulse.Stopped(time.Now()) {
		return 0, errStopped
	}
	b.queue = append(b.queue, p...)
	b.cond.Broadcast()
	return len(p), nil
}

func (b *bufferedConn) drain() {
	for {
		b.mu.Lock()
		for len(b.queue) == 0 && !b.closed {
			b.cond.Wait()
		}
		if len(b.queue) == 0 {
			b.mu.Unlock()
			_ = b.Conn.Close()
			return
		}
		out := b.queue
		b.queue = b.spare[:0]
		b.cond.Broadcast()
		b.mu.Unlock()
		err := b.handOver(out)
		b.mu.Lock()
		b.spare = out
		if err != nil {
			b.err, b.queue = err, nil
		}
		b.mu.Unlock()
		if err != nil {
			_ = b.Conn.Close()
			return
		}
	}
}

func (b *bufferedConn) handOver(out []byte) error {
	for piece := range slices.Chunk(out, onePiece) {
		if b.pulse.Stopped(time.Now()) {
			return errStopped
		}
		if _, err := b.Conn.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// Close lets what is queued go out first, for a moment: the server may have
// stopped reading.
func (b *bufferedConn) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		b.cond.Broadcast()
		time.AfterFunc(time.Second, func() { _ = b.Conn.Close() })
	}
	return nil
}
