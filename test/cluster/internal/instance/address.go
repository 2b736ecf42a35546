package instance

import (
	"fmt"
	"net/netip"
)

// Addresses come out of 198.18.0.0/15, which RFC 2544 (and RFC 6890) reserve for benchmarks, so that they cannot meet a
// real network. Nodes and host links, which the machine sees, differ per instance; pods and Services live inside the
// namespaces only and are the same in each.
//
//	198.18.I.1, 198.18.I.2      the nodes of instance I, in 198.18.I.0/29
//	198.18.I.129, 198.18.I.130  the machine's and node 1's end of the link to the API server, in 198.18.I.128/30
//	198.18.128.0/24, .129.0/24  the pods of node 1 and node 2
//	198.19.0.0/16               Services
const (
	PodsCIDR     = "198.18.128.0/17"
	ServicesCIDR = "198.19.0.0/16"
	// APIService is the first address of the Services' range: the API server takes it for the Service "kubernetes".
	APIService = "198.19.0.1"
	// DNSService is the tenth, as kubeadm chooses it.
	DNSService = "198.19.0.10"
	// MaxInstances is what fits: a /24 each in 198.18.0.0/17.
	MaxInstances = 128
	// Nodes of each instance: enough to show that no node is special, little enough for a small machine.
	Nodes = 2
)

// NodeAddress of node 1 or 2, the InternalIP that Kubernetes shows.
func (i *Instance) NodeAddress(node int) netip.Addr { return i.address(node) }

// NodePrefix is NodeAddress with the length of the nodes' common network.
func (i *Instance) NodePrefix(node int) netip.Prefix {
	return netip.PrefixFrom(i.NodeAddress(node), 29)
}

// HostLink gives the two ends of the link between the machine and node 1.
func (i *Instance) HostLink() (host, node netip.Prefix) {
	return netip.PrefixFrom(i.address(129), 30), netip.PrefixFrom(i.address(130), 30)
}

// APIServer is the API server's URL as the machine reaches it, from outside every namespace.
func (i *Instance) APIServer() string {
	_, node := i.HostLink()
	return "https://" + netip.AddrPortFrom(node.Addr(), APIServerPort).String()
}

// APIServerPort is the API server's usual one.
const APIServerPort = 6443

// PodCIDR is the range of one node's pods.
func PodCIDR(node int) string { return fmt.Sprintf("198.18.%d.0/24", 127+node) }

func (i *Instance) address(last int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18, byte(i.Index), byte(last)})
}
