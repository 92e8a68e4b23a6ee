package platform_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"midplane/internal/local"
	"midplane/internal/ports"
	"midplane/internal/testwait"
	"midplane/telemetry"
)

type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logText) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
}

func (l *logText) await(t *testing.T, what string) {
	t.Helper()
	has := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return strings.Contains(l.buf.String(), what)
	}
	for deadline := time.Now().Add(time.Minute); !has(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log never says %q", what)
		}
	}
}

// TestOneOfThreeSaysWhatItWaitsFor: a node without a majority waits for ever,
// and must not look as if it hung.
func TestOneOfThreeSaysWhatItWaitsFor(t *testing.T) {
	log := &logText{}
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(log, nil))
	var reserved ports.Reserved
	t.Cleanup(func() { _ = reserved.Close() }) // nothing was connected to it
	c, err := local.New(local.Config{Dir: t.TempDir(), Client: "127.0.0.1:0", Admin: "admin", Primary: "primary-1", NoSync: true, Ports: reserved.Reserve}, tel)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	names := c.Names()
	start := func(name string) {
		t.Helper()
		if err := c.Start(context.Background(), name); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Stop(name) })
	}
	const what = "waiting for the registry: it takes 2 of 3 nodes, and all of them the first time"
	alone := func() {
		t.Helper()
		start(names[0])
		log.await(t, `msg="`+what)
		if err := c.Node(names[0]).Healthy(ctx); err == nil || !strings.Contains(err.Error(), what) {
			t.Fatalf("not ready, it says: %v", err)
		}
	}
	alone()
	start(names[1])
	start(names[2])
	if err := c.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	log.await(t, "no longer "+what)
	for _, n := range names {
		c.Stop(n)
	}
	log.forget()
	alone()
	start(names[1])
	log.await(t, "no longer "+what)
	if err := c.Node(names[0]).Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestStoreThatIsTooSmallSaysSo: a node with too little room waits for the registry as
// one without a quorum does, and must say why.
func TestStoreThatIsTooSmallSaysSo(t *testing.T) {
	var reserved ports.Reserved
	t.Cleanup(func() { _ = reserved.Close() }) // nothing was connected to it
	c, err := local.New(local.Config{Dir: t.TempDir(), Client: "127.0.0.1:0", Admin: "admin", Primary: "primary-1", NoSync: true, Ports: reserved.Reserve, MaxStore: 100 << 20}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, name := range c.Names() {
		if err := c.Start(ctx, name); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Stop(name) })
	}
	for _, name := range c.Names() {
		for _, want := range []string{"this node's store may hold 100 MiB, and the registry and the audit log need 640 MiB", "refused: "} {
			testwait.Until(t, name+" says why", func() error {
				if err := c.Node(name).Healthy(ctx); err == nil || !strings.Contains(err.Error(), want) {
					return fmt.Errorf("%w", err)
				}
				return nil
			})
		}
	}
}
