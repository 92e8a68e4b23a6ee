package console

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"midplane/fault"
)

// hosts knows the names under which this console may be asked. A page of another
// site can make a browser ask any address (DNS rebinding), but the browser then
// sends that page's host name: names that are not ours are refused.
type hosts struct {
	open  bool // listens where other machines can reach it
	names map[string]bool
}

func newHosts(cfg Config) (hosts, error) {
	h := hosts{names: map[string]bool{"localhost": true}}
	host, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return h, fault.WithHint(fault.New(fault.Invalid, "console: %q is not an address", cfg.Addr),
			"write host:port, for instance %s", DefaultAddr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return h, fault.WithHint(fault.New(fault.Invalid, "console: %q is not a port", port), "use 1 to 65535")
	} else if n == 0 && port != "0" {
		return h, fault.New(fault.Invalid, "console: %q is not a port", port)
	}
	host = plainHost(host)
	if !loopback(host) {
		if !cfg.Open && cfg.Cert == "" {
			return h, notLoopback(cfg.Addr)
		}
		h.open = true
	}
	if host != "" {
		h.names[host] = true
	}
	for _, name := range cfg.Hosts {
		clean := plainHost(name)
		if clean == "" || strings.ContainsAny(clean, "/ *") || (strings.Contains(clean, ":") && !isIP(clean)) {
			return h, fault.WithHint(fault.New(fault.Invalid, "console: %q is not a host name", name),
				"name the host alone, without scheme and port")
		}
		h.names[clean] = true
	}
	return h, nil
}

func notLoopback(addr string) error {
	return fault.WithHint(fault.New(fault.Invalid, "console: %q can be reached from other machines, which would send passwords and tokens unencrypted", addr),
		"give it --http-cert and --http-key, or listen on loopback (%s), or say with --http-open that a proxy with TLS is in front", DefaultAddr)
}

// allowed says whether a request's Host header names this console. Where other
// machines may ask, any literal IP address will do: it cannot be rebound.
func (h hosts) allowed(header string) bool {
	host := header
	if only, ok := hostOnly(header); ok {
		host = only
	}
	host = plainHost(host)
	if h.names[host] {
		return true
	}
	if h.open {
		return isIP(host)
	}
	return host != "" && loopback(host)
}

// hostOnly is a host without its port, when it has one.
func hostOnly(header string) (string, bool) {
	host, _, err := net.SplitHostPort(header)
	return host, err == nil
}

// plainHost writes a host one way: lower case, no brackets, no final dot.
func plainHost(host string) string {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
