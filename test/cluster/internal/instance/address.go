package instance

import (
	"fmt"
	"net/netip"
)

// All addresses are of 198.18.0.0/15, which RFC 2544 and RFC 6890 reserve for benchmarks, so that they cannot conflict with a real network.
// The addresses of nodes and host links exist on the machine and differ between instances. Those of pods and Services exist only inside the
// namespaces and are the same in each instance.
//
//	198.18.I.1, 198.18.I.2      the nodes of instance I, in 198.18.I.0/29
//	198.18.I.129, 198.18.I.130  the machine's and node 1's end of the link to the API server, in 198.18.I.128/30
//	198.18.128.0/24, .129.0/24  the pods of node 1 and node 2
//	198.19.0.0/16               Services
const (
	PodsCIDR     = "198.18.128.0/17"
	ServicesCIDR = "198.19.0.0/16"
	// APIService is the first address of the Services' range. The API server assigns it to the Service "kubernetes".
	APIService = "198.19.0.1"
	// DNSService is the tenth address of that range, as in kubeadm.
	DNSService = "198.19.0.10"
	// MaxInstances is the number of /24 networks in 198.18.0.0/17. Each instance has one.
	MaxInstances = 128
	// Nodes is the number of nodes of an instance. Two show that no test depends on one certain node, and fit on a small machine.
	Nodes = 2
)

// NodeAddress returns the address of node 1 or 2, which is its InternalIP in Kubernetes.
func (i *Instance) NodeAddress(node int) netip.Addr { return i.address(node) }

// NodePrefix returns NodeAddress with the prefix length of the nodes' network.
func (i *Instance) NodePrefix(node int) netip.Prefix {
	return netip.PrefixFrom(i.NodeAddress(node), 29)
}

// HostLink returns the addresses of the link between the machine and node 1.
func (i *Instance) HostLink() (host, node netip.Prefix) {
	return netip.PrefixFrom(i.address(129), 30), netip.PrefixFrom(i.address(130), 30)
}

// APIServer returns the API server's URL for clients on the machine, outside of the namespaces.
func (i *Instance) APIServer() string {
	_, node := i.HostLink()
	return "https://" + netip.AddrPortFrom(node.Addr(), APIServerPort).String()
}

const (
	// APIServerPort is the API server's default port.
	APIServerPort = 6443
	// RegistryPort is the port of the cluster's image registry, at the addresses of node 1.
	RegistryPort = 5000
)

// Registry returns the registry's address for clients on the machine, outside of the namespaces.
func (i *Instance) Registry() string {
	_, node := i.HostLink()
	return netip.AddrPortFrom(node.Addr(), RegistryPort).String()
}

// PodCIDR returns the address range of a node's pods.
func PodCIDR(node int) string { return fmt.Sprintf("198.18.%d.0/24", 127+node) }

func (i *Instance) address(last int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18, byte(i.Index), byte(last)})
}
