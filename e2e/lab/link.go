package lab

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link carries the connections that one node opens to another, and can be cut or
// slowed down in each direction by itself.
type link struct {
	l  net.Listener
	to string

	there, back direction // from who dials to who is dialled, and the other way

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// direction is what happens to bytes that go one way.
type direction struct {
	silent atomic.Bool // they arrive nowhere, and nobody is told
	delay  atomic.Int64
	jitter atomic.Int64
}

// newLink listens on a port of loopback that the system chooses.
func newLink(to string) (*link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &link{l: l, to: to, conns: map[net.Conn]bool{}}
	go k.accept()
	return k, nil
}

func (k *link) addr() string { return k.l.Addr().String() }

func (k *link) close() {
	k.l.Close()
	k.there.cut(false)
	k.back.cut(false)
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		c.Close()
	}
}

func (k *link) accept() {
	for {
		c, err := k.l.Accept()
		if err != nil {
			return
		}
		go k.carry(c)
	}
}

func (k *link) carry(from net.Conn) {
	to, err := net.DialTimeout("tcp", k.to, 2*time.Second)
	if err != nil {
		from.Close()
		return
	}
	k.mu.Lock()
	k.conns[from], k.conns[to] = true, true
	k.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { k.there.pump(from, to) })
	both.Go(func() { k.back.pump(to, from) })
	both.Wait()
	k.mu.Lock()
	delete(k.conns, from)
	delete(k.conns, to)
	k.mu.Unlock()
}

// piece is what one read brought, and when it may go on.
type piece struct {
	data []byte
	due  time.Time
}

// pump carries bytes until one end closes. What is delayed stays in order; what is
// sent while the direction is silent arrives afterwards, as TCP sends it again.
func (d *direction) pump(from, to net.Conn) {
	queue := make(chan piece, 64)
	go func() {
		defer close(queue)
		for {
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			if n > 0 {
				due := time.Now().Add(time.Duration(d.delay.Load()))
				if j := d.jitter.Load(); j > 0 {
					due = due.Add(time.Duration(rand.Int64N(2*j) - j))
				}
				queue <- piece{buf[:n], due}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range queue {
		time.Sleep(time.Until(p.due))
		for d.silent.Load() {
			time.Sleep(10 * time.Millisecond)
		}
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	from.Close()
	to.Close()
	for range queue { // the reader ends
	}
}

// cut makes a direction silent, or lets it carry again.
func (d *direction) cut(yes bool) { d.silent.Store(yes) }

func (d *direction) slow(delay, jitter time.Duration) {
	d.delay.Store(int64(delay))
	d.jitter.Store(int64(jitter))
}
