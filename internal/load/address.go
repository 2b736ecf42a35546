package load

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
)

// oneAddress of a name, at random. net.Dialer tries the addresses one after the other, so a pod that refuses would be seen only if all do.
// A name with addresses of both IP families, such as localhost, may have a server on IPv4 only, so IPv6 counts only if there is no other.
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
