package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/internal/pulse"
	"midplane/internal/testwait"
	"midplane/tenants/account"
)

// A login that the server refuses is answered, and not waited out: both sides
// would write at once into a pipe that has no buffer.
func TestRefusedLoginInProcessIsAnswered(t *testing.T) {
	k := newKeys(t)
	n := start(t, single(t, k))
	known, token := k.tenant(t, "acme")
	if err := n.Apply(known.Public, token); err != nil {
		t.Fatal(err)
	}
	stranger, _ := k.tenant(t, "acme")
	stranger.Public = known.Public // signs for an account whose keys it has not
	for range 20 {
		began := time.Now()
		nc, err := dial(n.Node, stranger, account.RoleControl, account.UserControl, true)
		if err == nil {
			nc.Close()
			t.Fatal("a user that another operator signed was let in")
		}
		if !errors.Is(err, nats.ErrAuthorization) || time.Since(began) > 5*time.Second {
			t.Fatalf("after %s: %v", time.Since(began), err)
		}
	}
	nc := as(t, n.Node, k.control, account.RoleNode, account.UserNode, true)
	if err := nc.Flush(); err != nil {
		t.Error(err)
	}
}

// TCP is for those whose role says so, in-process for the system's own.
func TestRolesConnectOnlyTheirWay(t *testing.T) {
	k := newKeys(t)
	n := start(t, single(t, k))
	for _, x := range []struct {
		role           account.Role
		name           string
		tcp, inProcess bool
	}{
		{account.RoleService, account.UserService, false, true},
		{account.RoleNode, account.UserNode, false, true},
		{account.RoleAdmin, "admin", true, true},
		{account.RoleCore, "primary-1", true, true},
	} {
		for inProcess, want := range map[bool]bool{false: x.tcp, true: x.inProcess} {
			nc, err := dial(n.Node, k.control, x.role, x.name, inProcess)
			if err == nil {
				nc.Close()
			}
			if (err == nil) != want {
				t.Errorf("%s in-process %v: %v, want it let in: %v", x.role, inProcess, err, want)
			}
		}
	}
}

func TestCloseLetsOutWhatIsQueued(t *testing.T) {
	ours, theirs := net.Pipe()
	c := buffered(ours, nil)
	want := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	for part := want; len(part) > 0; part = part[min(len(part), 70_000):] {
		if _, err := c.Write(part[:min(len(part), 70_000)]); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(theirs) // begins to read only now
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d of %d bytes, %v", len(got), len(want), err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// A peer that reads nothing does not keep the connection, nor a writer, for ever.
func TestCloseDoesNotWaitForWhoeverDoesNotRead(t *testing.T) {
	ours, theirs := net.Pipe()
	c := buffered(ours, nil)
	blocked := make(chan error, 1)
	go func() {
		for {
			if _, err := c.Write(make([]byte, 1<<20)); err != nil {
				blocked <- err
				return
			}
		}
	}()
	testwait.Until(t, "the queue is full", func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.queue) <= maxQueue {
			return errNotYet
		}
		return nil
	})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for what, wait := range map[string]func() error{
		"the writer gets an error": func() error {
			select {
			case err := <-blocked:
				return err
			case <-time.After(patience):
				return nil
			}
		},
		"the pipe is closed": func() error {
			testwait.Until(t, "closed", func() error {
				_ = ours.SetDeadline(time.Time{})
				if _, err := ours.Write(nil); err == nil {
					return errNotYet
				}
				return nil
			})
			return io.EOF
		},
	} {
		if wait() == nil {
			t.Errorf("%s: not within %s", what, patience)
		}
	}
	_ = theirs.Close()
}

func TestWriterIsToldThatThePeerIsGone(t *testing.T) {
	ours, theirs := net.Pipe()
	c := buffered(ours, nil)
	_ = theirs.Close()
	testwait.Until(t, "an error", func() error {
		if _, err := c.Write([]byte("x")); err == nil {
			return errNotYet
		}
		return nil
	})
}

// Many write at once: each one's bytes arrive in order and in one piece.
func TestWritersDoNotMixTheirBytes(t *testing.T) {
	ours, theirs := net.Pipe()
	c := buffered(ours, nil)
	const writers, each = 8, 500
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := fmt.Fprintf(c, "%d %d\n", w, i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	go func() { wg.Wait(); _ = c.Close() }()
	next := make([]int, writers)
	for {
		var w, i int
		if _, err := fmt.Fscanf(theirs, "%d %d\n", &w, &i); err != nil {
			break
		}
		if i != next[w] {
			t.Fatalf("writer %d: %d instead of %d", w, i, next[w])
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("writer %d: %d of %d arrived", w, n, each)
		}
	}
}

// After a stop of the process nothing goes on that waits in the connection.
func TestConnectionBreaksAfterAStop(t *testing.T) {
	ours, theirs := net.Pipe()
	var p pulse.Pulse
	p.Beat(time.Now())
	c := buffered(ours, &p)
	if _, err := c.Write(bytes.Repeat([]byte("x"), 3*onePiece)); err != nil {
		t.Fatal(err)
	}
	p.Beat(time.Now().Add(-pulse.Stopped - time.Second)) // as if the last one had been so long ago
	if _, err := c.Write([]byte("y")); !errors.Is(err, errStopped) {
		t.Errorf("written after a stop: %v", err)
	}
	got, err := io.ReadAll(theirs)
	if len(got) > onePiece || bytes.Contains(got, []byte("y")) || err != nil { // the first piece was under way
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
