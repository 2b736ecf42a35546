package instance

import (
	"fmt"
	"path/filepath"
)

const stateFile = "instance.json"

// Dir of a name, also of an instance that was never finished.
func Dir(name string) string { return filepath.Join(Root, name) }

// Dir holds everything of the instance; `down` removes it as a whole.
func (i *Instance) Dir() string { return filepath.Join(i.root, i.Name) }

func (i *Instance) file() string { return filepath.Join(i.Dir(), stateFile) }

// Logs of all components, a file each.
func (i *Instance) Logs() string { return filepath.Join(i.Dir(), "logs") }

// PKI holds certificates and keys.
func (i *Instance) PKI() string { return filepath.Join(i.Dir(), "pki") }

// Config holds what is rendered for the components.
func (i *Instance) Config() string { return filepath.Join(i.Dir(), "config") }

// Kubeconfig is the administrator's, good from the machine itself.
func (i *Instance) Kubeconfig() string { return filepath.Join(i.Dir(), "kubeconfig") }

// A node sees the instance's folder and the binaries at these places, for its own /var/lib and /tmp hide the real ones.
const (
	InsideState = "/run/cluster/state"
	InsideBin   = "/run/cluster/bin"
)

// NodeConfig is the folder of one node's rendered files, in an instance's folder seen from the machine or from inside.
func NodeConfig(dir string, node int) string {
	return filepath.Join(dir, "config", fmt.Sprintf("node%d", node))
}

// NodeDir holds a node's file systems (run, lib, log, tmp), its lock and its status.
func (i *Instance) NodeDir(node int) string { return NodeDir(i.Dir(), node) }

// NodeDir inside an instance's folder, wherever that is mounted.
func NodeDir(dir string, node int) string { return filepath.Join(dir, fmt.Sprintf("node%d", node)) }

// NetNS is the file that keeps a node's network namespace, for `nsenter --net=FILE`.
func (i *Instance) NetNS(node int) string { return filepath.Join(i.NodeDir(node), "netns") }

// Containerd is a node's containerd socket, seen from the machine.
func (i *Instance) Containerd(node int) string {
	return filepath.Join(i.NodeDir(node), "run/containerd/containerd.sock")
}

// NodeName is the node's name in Kubernetes and its hostname.
func (i *Instance) NodeName(node int) string { return fmt.Sprintf("%s-%d", i.Name, node) }

// HostLinkName is the machine's end of the link to node 1; the kernel allows 15 characters.
func (i *Instance) HostLinkName() string { return fmt.Sprintf("gapp%d", i.Index) }

// Cgroup is the parent of all cgroups of an instance, in every hierarchy.
func Cgroup(name string) string { return filepath.Join(CgroupRoot, name) }

// CgroupRoot is the parent of all instances' cgroups.
const CgroupRoot = "/gracefulapp-cluster"

// NodeCgroup is the root of all cgroups that a node sees.
func (i *Instance) NodeCgroup(node int) string {
	return fmt.Sprintf("%s/node%d", Cgroup(i.Name), node)
}

// SystemCgroup is where a node's own processes live, seen from inside the node. The kubelet makes that of its pods beside
// it: cgroup v2 allows processes only in leaves.
const SystemCgroup = "/system"
