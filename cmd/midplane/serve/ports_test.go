package serve

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"midplane/cmd/midplane/shell"
	"midplane/fault"
)

// TestUpFindsTakenPorts: before anything is started, and before the NATS
// context of the one that runs already is overwritten.
func TestUpFindsTakenPorts(t *testing.T) {
	xdg := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", xdg)
	taken, port := takePort(t)
	for flag, set := range map[string]func(*upFlags){
		"--http": func(f *upFlags) { f.HTTP = taken.Addr().String() },
		"--nats": func(f *upFlags) { f.NATS = net.JoinHostPort("127.0.0.1", strconv.Itoa(port-1)) }, // the second node's
	} {
		f := upFlags{Data: filepath.Join(t.TempDir(), "data"), NATS: "127.0.0.1:0", daemonFlags: daemonFlags{HTTP: "127.0.0.1:0", LogLevel: "info", LogFormat: "text"}}
		set(&f)
		var out strings.Builder
		sh := shell.New("v0", strings.NewReader(""), &out, io.Discard)
		err := runUp(context.Background(), sh, f)
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), flag) || !strings.Contains(err.Error(), taken.Addr().String()) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (hint %q)", flag, err, fault.HintOf(err))
		}
		if out.Len() > 0 {
			t.Errorf("%s: something was started: %s", flag, &out)
		}
	}
	if left, err := os.ReadDir(xdg); err != nil || len(left) > 0 {
		t.Errorf("contexts were written: %v %v", left, err)
	}
}

// takePort listens on a port above one that is free.
func takePort(t *testing.T) (net.Listener, int) {
	t.Helper()
	for range 100 {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := taken.Addr().(*net.TCPAddr).Port
		if checkFree(context.Background(), "--nats", net.JoinHostPort("127.0.0.1", strconv.Itoa(port-1))) == nil {
			t.Cleanup(func() { _ = taken.Close() })
			return taken, port
		}
		_ = taken.Close()
	}
	t.Fatal("no two ports in a row are free")
	return nil, 0
}

// TestListenError: the class and the hint go with what is wrong.
func TestListenError(t *testing.T) {
	for addr, want := range map[string]fault.Kind{"192.0.2.1:0": fault.Invalid, "127.0.0.1:99999": fault.Invalid, "nonsense": fault.Invalid} {
		err := checkFree(context.Background(), "--http", addr)
		if fault.KindOf(err) != want || !strings.Contains(err.Error(), "--http") || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (%s)", addr, err, fault.KindOf(err))
		}
	}
}

// TestPatiently: "up" waits for leaders to be elected, and for nothing else.
func TestPatiently(t *testing.T) {
	for name, c := range map[string]struct {
		kind fault.Kind
		want int
	}{"no answer": {fault.Unavailable, 3}, "a mistake": {fault.Invalid, 1}} {
		tries := 0
		err := patiently(context.Background(), func(context.Context) error {
			if tries++; tries < 3 {
				return fault.New(c.kind, "not now")
			}
			return nil
		})
		if tries != c.want || (err == nil) != (c.want == 3) {
			t.Errorf("%s: %d tries, %v", name, tries, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := patiently(ctx, func(context.Context) error { return fault.New(fault.Unavailable, "not now") }); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}
