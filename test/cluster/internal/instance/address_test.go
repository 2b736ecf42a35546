package instance

import (
	"net/netip"
	"testing"
)

func TestAddressesOfAllInstancesAreDistinctAndReserved(t *testing.T) {
	// RFC 6890 reserves 198.18.0.0/15 for benchmarks. The first half is for the addresses that exist on the machine.
	reserved := netip.MustParsePrefix("198.18.0.0/17")
	seen := map[netip.Addr]bool{}
	for index := range MaxInstances {
		i := &Instance{Index: index}
		host, link := i.HostLink()
		if host.Masked() != link.Masked() || i.NodePrefix(1).Masked() != i.NodePrefix(2).Masked() {
			t.Fatalf("instance %d: two ends of a link are in different networks", index)
		}
		if host.Overlaps(i.NodePrefix(1)) {
			t.Fatalf("instance %d: %s overlaps %s", index, host, i.NodePrefix(1))
		}
		for _, a := range []netip.Addr{host.Addr(), link.Addr(), i.NodeAddress(1), i.NodeAddress(2)} {
			if seen[a] || !reserved.Contains(a) {
				t.Errorf("instance %d: %s is taken twice or outside %s", index, a, reserved)
			}
			seen[a] = true
		}
	}
}

func TestPodsAndServicesAreApartFromNodes(t *testing.T) {
	nodes, pods, services := netip.MustParsePrefix("198.18.0.0/17"), netip.MustParsePrefix(PodsCIDR), netip.MustParsePrefix(ServicesCIDR)
	if nodes.Overlaps(pods) || nodes.Overlaps(services) || pods.Overlaps(services) {
		t.Error("ranges overlap")
	}
	for node := 1; node <= Nodes; node++ {
		if p := netip.MustParsePrefix(PodCIDR(node)); !pods.Overlaps(p) {
			t.Errorf("pods of node %d: %s is outside %s", node, p, pods)
		}
	}
	for _, a := range []string{APIService, DNSService} {
		if !services.Contains(netip.MustParseAddr(a)) {
			t.Errorf("%s is outside %s", a, services)
		}
	}
}

func TestAPIServerIsOnTheHostLink(t *testing.T) {
	if got, want := (&Instance{Index: 3}).APIServer(), "https://198.18.3.130:6443"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
