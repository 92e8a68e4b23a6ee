package ping

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"midplane/fault"
)

// withoutRawSockets runs f on a thread that has given up CAP_NET_RAW, as a
// poller has that is not given it. The thread ends with f.
func withoutRawSockets(t *testing.T, f func()) {
	t.Helper()
	const version3, netRaw = 0x20080522, 13
	type header struct {
		version uint32
		pid     int32
	}
	//lint:ignore U1000 the kernel's layout: it writes all three
	type data struct{ effective, permitted, inheritable uint32 }
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: no other goroutine may get this thread
		h := header{version: version3}
		var d [2]data
		if _, _, e := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(&d)), 0); e != 0 {
			done <- fmt.Errorf("capget: %w", e)
			return
		}
		d[0].effective &^= 1 << netRaw
		if _, _, e := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(&d)), 0); e != 0 {
			done <- fmt.Errorf("capset: %w", e)
			return
		}
		f()
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Without the capability the kernel's ping sockets are used, where its setting
// allows our group to, and the error says what is missing where not.
func TestWithoutRawSockets(t *testing.T) {
	setting, err := os.ReadFile("/proc/sys/net/ipv4/ping_group_range")
	if err != nil {
		t.Fatal(err)
	}
	var from, to int
	if _, err := fmt.Sscan(string(setting), &from, &to); err != nil {
		t.Fatal(err)
	}
	allowed := from <= os.Getegid() && os.Getegid() <= to
	withoutRawSockets(t, func() {
		out, err := send(context.Background(), round{to: net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, count: 1, size: minSize, timeout: 5 * time.Second})
		switch {
		case allowed && (err != nil || out.received != 1):
			t.Errorf("the kernel lets our group ping, but %+v, %v", out, err)
		case !allowed && (!fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), "cap_net_raw") || !strings.Contains(fault.HintOf(err), "ping_group_range")):
			t.Errorf("%+v, %v (%s)", out, err, fault.HintOf(err))
		}
	})
}
