package lease

import (
	"context"
	"fmt"

	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/platform/registry"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// contest is a server and nodes that want to lead, each behind a line that can
// be cut.
type contest struct {
	t       *testing.T
	url     string
	leading atomic.Int32
	began   chan string // who began to lead
}

func newContest(t *testing.T) *contest {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server did not come up")
	}
	return &contest{t: t, url: s.Addr().String(), began: make(chan string, 1000)}
}

// contender is one node.
type contender struct {
	name string
	line *line
	nc   *nats.Conn
	stop context.CancelFunc
	dead chan struct{} // closed by kill: the process is gone at once
	done chan struct{}
}

func (c *contest) enter(name string) *contender {
	c.t.Helper()
	n := &contender{name: name, line: newLine(c.t, c.url), dead: make(chan struct{}), done: make(chan struct{})}
	var err error
	if n.nc, err = nats.Connect("nats://"+n.line.addr(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond)); err != nil {
		c.t.Fatal(err)
	}
	js, err := jetstream.New(n.nc)
	if err != nil {
		c.t.Fatal(err)
	}
	sealer, err := account.NewSealer(account.NewMasterKey())
	if err != nil {
		c.t.Fatal(err)
	}
	octx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	reg, err := registry.Open(octx, js, sealer, 1, nil, func(kv jetstream.KeyValue) *registry.Mirror { return registry.NewMirror(kv, nil, telemetry.Nop()) })
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	mctx, stopMirror := context.WithCancel(context.Background())
	mirrored := make(chan struct{})
	go func() { defer close(mirrored); _ = reg.Status.Run(mctx) }()
	if err := reg.Status.Wait(octx, 0); err != nil {
		c.t.Fatal(err)
	}
	ctl := Candidate{Node: name, Registry: reg, Log: telemetry.Nop().Log}
	go func() {
		defer close(n.done)
		defer n.nc.Close()
		defer func() { stopMirror(); <-mirrored }()
		_ = ctl.Run(ctx, func(ctx context.Context) { c.lead(ctx, n) }) // nil
	}()
	return n
}

// lead is what must never happen twice at a time.
func (c *contest) lead(ctx context.Context, n *contender) {
	if now := c.leading.Add(1); now != 1 {
		c.t.Errorf("%s leads, and with it %d others", n.name, now-1)
	}
	c.began <- n.name
	select {
	case <-ctx.Done():
	case <-n.dead:
	}
	c.leading.Add(-1)
	<-ctx.Done()
}

func (n *contender) leave() { n.stop(); <-n.done; n.line.close() }

// kill ends a node without a word to the others.
func (n *contender) kill() {
	n.line.cut()
	close(n.dead)
	n.stop()
	<-n.done
	n.line.close()
}

// next waits until a node begins to lead.
func (c *contest) next(within time.Duration) (string, time.Duration) {
	c.t.Helper()
	began := time.Now()
	select {
	case who := <-c.began:
		return who, time.Since(began)
	case <-time.After(within):
		c.t.Fatalf("no node leads after %s", within)
		return "", 0
	}
}

// A leader that stops in good order is followed at once, one that dies within
// ten seconds, and one that is merely cut off stops leading before another begins.
func TestLeadershipPassesOn(t *testing.T) {
	t.Parallel()
	c := newContest(t)
	nodes := map[string]*contender{}
	for i := range 3 {
		name := fmt.Sprintf("n%d", i+1)
		nodes[name] = c.enter(name)
	}
	t.Cleanup(func() {
		for _, n := range nodes {
			n.leave()
		}
	})
	first, _ := c.next(10 * time.Second)
	nodes[first].leave()
	delete(nodes, first)
	second, took := c.next(expiresAfter)
	if took >= expiresAfter {
		t.Errorf("the lease was not released: the next one began after %s", took)
	}
	nodes[first] = c.enter(first)

	nodes[second].kill()
	delete(nodes, second)
	third, took := c.next(10 * time.Second)
	t.Logf("after a kill the next one leads within %s", took.Round(100*time.Millisecond))
	if third == second {
		t.Errorf("%s leads although it is dead", third)
	}
	nodes[second] = c.enter(second)

	nodes[third].line.cut() // it lives on, and finds out by itself
	fourth, took := c.next(15 * time.Second)
	t.Logf("after a cut the next one leads within %s", took.Round(100*time.Millisecond))
	if fourth == third {
		t.Errorf("%s leads although it is cut off", third)
	}
	nodes[third].line.mend()
}

// Nodes start, stop, die and are cut off at random: never do two lead, and
// whenever they are left alone one does.
func TestAtMostOneLeads(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	c := newContest(t)
	nodes := make([]*contender, 4)
	for i := range nodes {
		nodes[i] = c.enter(fmt.Sprintf("n%d", i+1))
	}
	for range 25 {
		i := random.IntN(len(nodes))
		switch n := nodes[i]; random.IntN(4) {
		case 0:
			n.leave()
			nodes[i] = c.enter(n.name)
		case 1:
			n.kill()
			nodes[i] = c.enter(n.name)
		case 2:
			n.line.cut()
		case 3:
			n.line.mend()
		}
		time.Sleep(time.Duration(random.Int64N(int64(1500 * time.Millisecond)))) // the moments are what is random
	}
	for _, n := range nodes {
		n.line.mend()
	}
	for deadline := time.Now().Add(30 * time.Second); c.leading.Load() != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d lead once all are well again", c.leading.Load())
		}
	}
	for _, n := range nodes {
		n.leave()
	}
	if len(c.began) < 2 {
		t.Errorf("leadership never passed on: %d began", len(c.began))
	}
	t.Logf("%d terms", len(c.began))
}

// line is a TCP line between a node and the server. Cut, it swallows what is
// sent, as a network does: neither side learns of it.
type line struct {
	l      net.Listener
	remote string
	isCut  atomic.Bool
	mu     sync.Mutex
	open   []net.Conn
}

func newLine(t *testing.T, remote string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{l: l, remote: strings.TrimPrefix(remote, "nats://")}
	go n.accept()
	return n
}

func (n *line) addr() string { return n.l.Addr().String() }
func (n *line) cut()         { n.isCut.Store(true) }

// mend lets connections through again; those that lost something are ended, as
// TCP would.
func (n *line) mend() {
	if n.isCut.Swap(false) {
		n.hangUp()
	}
}

func (n *line) close() { _ = n.l.Close(); n.hangUp() }

func (n *line) hangUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.open {
		_ = c.Close()
	}
	n.open = nil
}

func (n *line) accept() {
	for {
		a, err := n.l.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", n.remote)
		if err != nil {
			_ = a.Close()
			continue
		}
		n.mu.Lock()
		n.open = append(n.open, a, b)
		n.mu.Unlock()
		go n.carry(a, b)
		go n.carry(b, a)
	}
}

func (n *line) carry(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		k, err := from.Read(buf)
		if err != nil {
			return
		}
		if n.isCut.Load() {
			continue
		}
		if _, err := to.Write(buf[:k]); err != nil {
			return
		}
	}
}
