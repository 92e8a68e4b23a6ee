package ports

import (
	"net"
	"strconv"
	"testing"
)

// TestReservedPortsStayReserved: two that reserve at the same time, as two
// processes do, never get the same, also while nothing listens there.
func TestReservedPortsStayReserved(t *testing.T) {
	var a, b Reserved
	defer a.Close()
	defer b.Close()
	seen := map[int]bool{}
	for range 20 {
		for _, p := range []*Reserved{&a, &b} {
			ports, err := p.Reserve(10)
			if err != nil {
				t.Fatal(err)
			}
			for _, port := range ports {
				if seen[port] {
					t.Fatalf("%d was given twice", port)
				}
				seen[port] = true
				if port >= outgoing() {
					t.Errorf("%d is one that outgoing connections get", port)
				}
				l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
				if err != nil {
					t.Fatalf("%d is not free: %v", port, err)
				}
				_ = l.Close()
			}
		}
	}
}

func TestFreePortsAreDifferentAndFree(t *testing.T) {
	ports, err := Free(50)
	if err != nil || len(ports) != 50 {
		t.Fatal(ports, err)
	}
	seen := map[int]bool{}
	for _, port := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil || seen[port] {
			t.Fatalf("port %d: %v", port, err)
		}
		seen[port] = true
		_ = l.Close()
	}
}
