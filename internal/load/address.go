package load

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
)

// oneAddress of a name, at random. net.Dialer tries the addresses one after the other, so a pod that refuses would be seen only if all do.
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
	return net.JoinHostPort(all[rand.IntN(len(all))].Unmap().String(), port), nil
}
