package api

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"midplane/fault"
)

// doors runs a server with admin services that never answer and one that does,
// and returns how many requests they got together.
func doors(t *testing.T, silent int) (nc *nats.Conn, asked *atomic.Int64) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	if nc, err = nats.Connect(s.ClientURL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	asked = &atomic.Int64{}
	for i := range silent + 1 {
		_, err := nc.QueueSubscribe("admin.>", "nodes", func(m *nats.Msg) {
			asked.Add(1)
			if i >= silent {
				_ = m.Respond([]byte(`{}`))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return nc, asked
}

// TestReadsAreAskedAgain: a node that hangs still gets requests, so a read is
// requested again from another one.
func TestReadsAreAskedAgain(t *testing.T) {
	nc, asked := doors(t, 1)
	a := NewAdmin(nc, "ann")
	a.first = 5 * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range 20 {
		if err := a.Do(ctx, NodeStatus, struct{}{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() <= 20 {
		t.Fatal("nothing was asked again: the test proves nothing")
	}
}

// TestWritesAreAskedOnce: the first request may have been carried out although
// its answer was lost.
func TestWritesAreAskedOnce(t *testing.T) {
	nc, asked := doors(t, 3)
	a := NewAdmin(nc, "ann")
	a.first = 5 * time.Millisecond
	for range 10 {
		before := asked.Load()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		err := a.Do(ctx, TenantPut, struct{}{}, nil)
		cancel()
		if err != nil && !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); asked.Load() == before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it was not asked at all")
			}
		}
	}
	if got := asked.Load(); got != 10 {
		t.Fatalf("10 writes were asked %d times", got)
	}
}
