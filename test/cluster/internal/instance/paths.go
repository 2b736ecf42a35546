package instance

import (
	"fmt"
	"path/filepath"
)

const stateFile = "instance.json"

// Dir returns the folder of the instance with that name, even if the instance is incomplete.
func Dir(name string) string { return filepath.Join(Root, name) }

// Dir returns the instance's folder, which has all its files. `down` removes it.
func (i *Instance) Dir() string { return filepath.Join(i.root, i.Name) }

func (i *Instance) file() string { return filepath.Join(i.Dir(), stateFile) }

// Logs returns the folder of the components' logs.
func (i *Instance) Logs() string { return filepath.Join(i.Dir(), "logs") }

// PKI returns the folder of certificates and keys.
func (i *Instance) PKI() string { return filepath.Join(i.Dir(), "pki") }

// Config returns the folder of the components' configuration files.
func (i *Instance) Config() string { return filepath.Join(i.Dir(), "config") }

// Kubeconfig returns the administrator's kubeconfig, for clients on the machine.
func (i *Instance) Kubeconfig() string { return filepath.Join(i.Dir(), "kubeconfig") }

// Paths of the instance's folder and of the binaries inside a node. The node's own /var/lib and /tmp hide the paths on the machine.
const (
	InsideState = "/run/cluster/state"
	InsideBin   = "/run/cluster/bin"
)

// NodeConfig returns the folder of a node's configuration files. dir is the instance's folder, on the machine or inside a node.
func NodeConfig(dir string, node int) string {
	return filepath.Join(dir, "config", fmt.Sprintf("node%d", node))
}

// NodeDir returns the folder of a node's file systems (run, lib, log, tmp), its lock and its status.
func (i *Instance) NodeDir(node int) string { return NodeDir(i.Dir(), node) }

// NodeDir returns the folder of a node. dir is the instance's folder, on the machine or inside a node.
func NodeDir(dir string, node int) string { return filepath.Join(dir, fmt.Sprintf("node%d", node)) }

// NetNS returns the file on which a node's network namespace is mounted, for `nsenter --net=FILE`.
func (i *Instance) NetNS(node int) string { return filepath.Join(i.NodeDir(node), "netns") }

// Containerd returns the path of a node's containerd socket on the machine.
func (i *Instance) Containerd(node int) string {
	return filepath.Join(i.NodeDir(node), "run/containerd/containerd.sock")
}

// NodeName returns the node's name in Kubernetes, which is also its host name.
func (i *Instance) NodeName(node int) string { return fmt.Sprintf("%s-%d", i.Name, node) }

// HostLinkName returns the name of the machine's end of the link to node 1. The kernel allows 15 characters.
func (i *Instance) HostLinkName() string { return fmt.Sprintf("gapp%d", i.Index) }

// Cgroup returns the parent of all cgroups of an instance, in every hierarchy.
func Cgroup(name string) string { return filepath.Join(CgroupRoot, name) }

// CgroupRoot is the parent of all instances' cgroups.
const CgroupRoot = "/gracefulapp-cluster"

// NodeCgroup returns the cgroup that is the root of a node's cgroup namespace.
func (i *Instance) NodeCgroup(node int) string {
	return fmt.Sprintf("%s/node%d", Cgroup(i.Name), node)
}

// SystemCgroup is the cgroup of a node's own processes, inside the node. They cannot be in the root, where the kubelet creates the cgroup of its
// pods: cgroup v2 allows processes only in leaves.
const SystemCgroup = "/system"
