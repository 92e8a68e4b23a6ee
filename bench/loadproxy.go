package main

import (
	"io"
	"net"
	"net/url"
	"sync"
)

// proxy stands between the pollers and the nodes, one port for each node. Cut,
// it closes what is open and refuses what comes, as a dead line does.
type proxy struct {
	nodes []string // addresses of the nodes
	own   []string // the proxy's, in the same order

	mu        sync.Mutex
	listeners []net.Listener
	conns     map[net.Conn]bool
	made      int // connections, since the begin
	running   sync.WaitGroup
}

// newProxy opens one port for each of servers, which are NATS URLs.
func newProxy(servers []string) (*proxy, error) {
	p := &proxy{conns: map[net.Conn]bool{}}
	for _, s := range servers {
		u, err := url.Parse(s)
		if err != nil {
			return nil, err
		}
		p.nodes = append(p.nodes, u.Host)
		p.own = append(p.own, "127.0.0.1:0")
	}
	return p, p.mend()
}

// servers are the URLs that pollers are given.
func (p *proxy) servers() (out []string) {
	for _, addr := range p.own {
		out = append(out, "nats://"+addr)
	}
	return out
}

// mend listens, on the same ports as before.
func (p *proxy) mend() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.own {
		l, err := net.Listen("tcp", p.own[i])
		if err != nil {
			return err
		}
		p.own[i] = l.Addr().String()
		p.listeners = append(p.listeners, l)
		p.running.Go(func() { p.accept(l, p.nodes[i]) })
	}
	return nil
}

// cut ends every connection, refuses new ones, and returns when that is so.
func (p *proxy) cut() {
	p.mu.Lock()
	for _, l := range p.listeners {
		_ = l.Close() // it is open
	}
	p.listeners = nil
	for c := range p.conns {
		_ = c.Close() // its other side may have ended
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *proxy) accept(l net.Listener, node string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.join(l, c, node) })
	}
}

// join carries bytes both ways until one side ends.
func (p *proxy) join(l net.Listener, c net.Conn, node string) {
	defer c.Close()
	n, err := net.Dial("tcp", node)
	if err != nil {
		return
	}
	defer n.Close()
	if !p.keep(l, c, n) {
		return
	}
	defer p.forget(c, n)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(c, n) // how it ends does not matter
		_ = c.Close()
	})
	_, _ = io.Copy(n, c)
	_ = n.Close()
	back.Wait()
}

// connections is how many were made through the proxy so far.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made
}

// keep notes a pair of connections, unless the line was cut since it was accepted.
func (p *proxy) keep(l net.Listener, pair ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := false
	for _, x := range p.listeners {
		open = open || x == l
	}
	for _, c := range pair {
		if open {
			p.conns[c] = true
		}
	}
	if open {
		p.made++
	}
	return open
}

func (p *proxy) forget(pair ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range pair {
		delete(p.conns, c)
	}
}
