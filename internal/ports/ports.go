// Package ports finds ports of loopback that nothing listens on, and keeps them
// for tests: a server may be stopped and started again at the same port, and
// nothing takes it in between.
package ports

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"midplane/fault"
)

// Free returns n ports that nothing listens on at this moment, from below those
// that the system gives to outgoing connections.
func Free(n int) ([]int, error) {
	end := outgoing()
	var out []int
	for range tries {
		if len(out) == n {
			return out, nil
		}
		port := lowest + rand.IntN(end-lowest)
		if !slices.Contains(out, port) && free("127.0.0.1", port) == nil {
			out = append(out, port)
		}
	}
	return nil, none(n, end)
}

// Reserved are ports that stay reserved until Close. The zero value has none. A
// reserved port is marked by a listener at an address that nothing else uses:
// every process that reserves looks at the mark, whether the port itself is
// listened on at that moment or not.
type Reserved struct{ marks []net.Listener }

const (
	lowest     = 10_000
	markedAt   = "127.0.0.77"
	rangeFile  = "/proc/sys/net/ipv4/ip_local_port_range"
	defaultEnd = 32_768
	tries      = 10_000
)

// Reserve returns n ports of loopback that are free and stay reserved.
func (p *Reserved) Reserve(n int) ([]int, error) {
	end := outgoing()
	var out []int
	for range tries {
		if len(out) == n {
			return out, nil
		}
		port := lowest + rand.IntN(end-lowest)
		mark, err := net.Listen("tcp", net.JoinHostPort(markedAt, strconv.Itoa(port)))
		if err != nil {
			continue // another's
		}
		if free("127.0.0.1", port) != nil {
			_ = mark.Close() // no connection was made to it
			continue
		}
		p.marks = append(p.marks, mark)
		out = append(out, port)
	}
	return nil, none(n, end)
}

// free returns why nothing can listen at a port, or nil.
func free(host string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}

func none(n, end int) error {
	return fault.New(fault.Exhausted, "no %d free ports between %d and %d on loopback", n, lowest, end)
}

// Close gives the ports back.
func (p *Reserved) Close() error {
	var errs []error
	for _, m := range p.marks {
		errs = append(errs, m.Close())
	}
	p.marks = nil
	return errors.Join(errs...)
}

// outgoing is where the ports of outgoing connections begin.
func outgoing() int {
	data, err := os.ReadFile(rangeFile)
	if err != nil {
		return defaultEnd
	}
	if fields := strings.Fields(string(data)); len(fields) == 2 {
		if first, err := strconv.Atoi(fields[0]); err == nil && first > lowest+1000 {
			return first
		}
	}
	return defaultEnd
}
