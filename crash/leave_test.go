package crash

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"midplane/internal/testcluster"
)

// leftWithin is how soon a program leaves a node that stands still: three pings of
// 4 seconds are not answered. Its next connection is there 5 seconds later, for it
// may try the same node once more. room is for a machine that is busy.
const (
	leftWithin = 15 * time.Second
	thereAgain = 5 * time.Second
	room       = 10 * time.Second
)

// TestProgramsLeaveANodeThatStandsStill stops the node that a program is connected
// to, so that its connections stay open and nothing is answered: poller, primary and
// a command that follows each go to another node.
func TestProgramsLeaveANodeThatStandsStill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := start(ctx, t)
	if _, err := s.Start("follow", "events", "--follow", "--tenant", tenant); err != nil {
		t.Fatal(err)
	}
	s.run(t, "poller")
	if err := s.soon(ctx, func(ctx context.Context) error { return s.Get(ctx, new([]struct{}), "events", "--tenant", tenant) }); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"poller", "primary", "follow"} {
		t.Run(name, func(t *testing.T) {
			p := s.Process(name)
			node := -1
			if err := s.soon(ctx, func(context.Context) error {
				for i := range s.Nodes {
					if n, err := connections(p, s.Servers[i]); err != nil {
						return err
					} else if n > 0 {
						node = i
					}
				}
				if node < 0 {
					return fmt.Errorf("%s is connected to no node", name)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			stopped := time.Now()
			if err := s.Signal(s.Nodes[node], syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Signal(s.Nodes[node], syscall.SIGCONT); err != nil {
					t.Error(err)
				}
				if err := s.soon(ctx, func(ctx context.Context) error { _, err := s.Run(ctx, "status"); return err }); err != nil {
					t.Error(err)
				}
			}()
			left := time.Duration(0)
			if err := s.soon(ctx, func(context.Context) error {
				// A new try at the same node would be a connection, too.
				n, err := connections(p, s.Servers[node])
				if err == nil && n == 0 && left == 0 {
					left = time.Since(stopped)
				}
				for i := range s.Nodes {
					if m, merr := connections(p, s.Servers[i]); merr == nil && i != node && m > 0 && left > 0 {
						return nil
					}
				}
				return fmt.Errorf("%s has %d connections to %s: %v", name, n, s.Nodes[node], err)
			}); err != nil {
				t.Fatalf("%v\n%s", err, s.Log(name))
			}
			again := time.Since(stopped)
			t.Logf("%s left %s after %.1f s and was connected elsewhere after %.1f s", name, s.Nodes[node], left.Seconds(), again.Seconds())
			if left > leftWithin+room || again > leftWithin+thereAgain+room {
				t.Errorf("want at most %s and %s, and %s more on a busy machine", leftWithin, leftWithin+thereAgain, room)
			}
		})
	}
}

// established is a connection's state in /proc/net/tcp.
const established = "01"

// connections counts the connections of a process to a server.
func connections(p *testcluster.Process, server string) (int, error) {
	u, err := url.Parse(server)
	if err != nil {
		return 0, err
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return 0, err
	}
	sockets := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.Pid()))
	if err != nil {
		return 0, err
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil { // it may have been closed
			sockets[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
		}
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/net/tcp", p.Pid()))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, lines := 0, bufio.NewScanner(f)
	for lines.Scan() {
		// sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
		x := strings.Fields(lines.Text())
		if len(x) > 9 && x[3] == established && strings.HasSuffix(x[2], fmt.Sprintf(":%04X", port)) && sockets[x[9]] {
			n++
		}
	}
	return n, lines.Err()
}
