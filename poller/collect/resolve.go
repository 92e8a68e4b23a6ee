package collect

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"midplane/fault"
)

// Resolve returns the IP address to use for a device's address: itself when it
// is one, else what the name resolves to, IPv4 before IPv6. A name that does
// not resolve is an error and no finding about the device: when a site's
// resolver fails, its devices are not down.
func Resolve(ctx context.Context, address string) (netip.Addr, error) {
	if address == "" {
		return netip.Addr{}, fault.New(fault.Invalid, "the device has no address")
	}
	if ip, err := netip.ParseAddr(address); err == nil {
		return ip.Unmap(), nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", address)
	if err != nil || len(ips) == 0 {
		return netip.Addr{}, fault.WithHint(fault.Wrap(fault.Unavailable, err, "the name %q does not resolve", address),
			"check the device's address in the tenant's file, and the resolver of the poller's machine")
	}
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	if i := slices.IndexFunc(ips, netip.Addr.Is4); i >= 0 {
		return ips[i], nil
	}
	return ips[0], nil
}
