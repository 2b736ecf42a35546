package load

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
)

// oneAddress resolves the host name of an address and returns one of its IP addresses, chosen at random. net.Dialer instead tries all of them
// in turn, which would hide a pod that refuses connections. The server behind a name with addresses of both IP families, such as localhost, may
// listen on IPv4 only, so IPv6 addresses are used only if there is no IPv4 address.
func oneAddress(
	ctx context.Context, address string, lookup func(ctx context.Context, network, host string) ([]netip.Addr, error),
) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return address, nil
	}
	all, err := lookup(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	isIPv6 := func(a netip.Addr) bool { return !a.Unmap().Is4() }
	if ipv4 := slices.DeleteFunc(slices.Clone(all), isIPv6); len(ipv4) > 0 {
		all = ipv4
	}
	return net.JoinHostPort(all[rand.IntN(len(all))].Unmap().String(), port), nil
}
