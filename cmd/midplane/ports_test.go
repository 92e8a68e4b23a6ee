package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"midplane/fault"
)

// TestUpFindsTakenPorts: before anything is started, and before the NATS
// context of the one that runs already is overwritten.
func TestUpFindsTakenPorts(t *testing.T) {
	xdg := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", xdg)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	for flag, set := range map[string]func(*upFlags){
		"--http": func(f *upFlags) { f.HTTP = taken.Addr().String() },
		"--nats": func(f *upFlags) { f.NATS = net.JoinHostPort("127.0.0.1", strconv.Itoa(port-1)) }, // the second node's
	} {
		f := upFlags{Data: filepath.Join(t.TempDir(), "data"), NATS: "127.0.0.1:0", daemonFlags: daemonFlags{HTTP: "127.0.0.1:0", LogLevel: "info", LogFormat: "text"}}
		set(&f)
		var out strings.Builder
		a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: io.Discard}
		err := a.up(context.Background(), f)
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
	}{"nobody answers": {fault.Unavailable, 3}, "a mistake": {fault.Invalid, 1}} {
		tries := 0
		err := patiently(context.Background(), func() error {
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
	if err := patiently(ctx, func() error { return fault.New(fault.Unavailable, "not now") }); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}
