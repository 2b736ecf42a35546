package load

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

// A client that tried the other addresses would hide a pod that refuses connections.
func TestANameMeansOneOfItsAddresses(t *testing.T) {
	lookup := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if host != "pods.example." {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, nil
	}
	got := map[string]bool{}
	for range 100 {
		address, err := oneAddress(t.Context(), "pods.example.:8080", lookup)
		if err != nil {
			t.Fatal(err)
		}
		got[address] = true
	}
	if len(got) != 2 || !got["192.0.2.1:8080"] || !got["192.0.2.2:8080"] {
		t.Errorf("got %v, want both addresses by turns", got)
	}
	for _, address := range []string{"192.0.2.7:80", "[2001:db8::1]:80"} {
		if got, err := oneAddress(t.Context(), address, lookup); err != nil || got != address {
			t.Errorf("%s: got %s, %v", address, got, err)
		}
	}
	if _, err := oneAddress(t.Context(), "gone.example.:80", lookup); err == nil {
		t.Error("an unknown name has an address")
	}
}

// The server of a name such as localhost may listen on IPv4 only.
func TestANameOfBothFamiliesMeansIPv4(t *testing.T) {
	tests := []struct {
		name string
		all  []string
		want string
	}{
		{name: "both", all: []string{"2001:db8::1", "192.0.2.1"}, want: "192.0.2.1:80"},
		{name: "both, IPv4 mapped", all: []string{"2001:db8::1", "::ffff:192.0.2.1"}, want: "192.0.2.1:80"},
		{name: "IPv6 only", all: []string{"2001:db8::1"}, want: "[2001:db8::1]:80"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 {
				got, err := oneAddress(t.Context(), "pods.example.:80", func(context.Context, string, string) ([]netip.Addr, error) {
					var all []netip.Addr
					for _, a := range tt.all {
						all = append(all, netip.MustParseAddr(a))
					}
					return all, nil
				})
				if err != nil || got != tt.want {
					t.Fatalf("got %s, %v, want %s", got, err, tt.want)
				}
			}
		})
	}
}
