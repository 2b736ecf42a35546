// Package network builds the nodes' network namespaces and the links between them.
//
//	machine gapp0 ---- host0 node 1 node0 ---- node0 node 2
//
// The machine gets no rule or route of the cluster, except for the first link, which leads to the API server. Both nodes have a default route
// to a dead end: a Service's address needs a route before kube-proxy's rules rewrite it, and no packet may leave the machine. The dead end is a
// veth pair without an address, because some kernels have no dummy devices.
package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

const (
	hostLink    = "host0"
	nodeLink    = "node0"
	deadEnd     = "out0"
	deadEndPeer = "out1"
)

// Ensure creates the namespaces and links that do not exist, so that it also completes the network after an interrupted run.
func Ensure(ctx context.Context, i *instance.Instance) error {
	for node := 1; node <= instance.Nodes; node++ {
		if err := ensureNamespace(ctx, i.NetNS(node)); err != nil {
			return fmt.Errorf("creating the network namespace of %s: %w", i.NodeName(node), err)
		}
	}
	for _, step := range []func(context.Context, *instance.Instance) error{linkHost, linkNodes, route} {
		if err := step(ctx, i); err != nil {
			return fmt.Errorf("building the network of %q: %w", i.Name, err)
		}
	}
	return nil
}

// ensureNamespace creates a namespace and bind-mounts it on a file of the state folder. `ip netns` would leave a mount in /run/netns.
func ensureNamespace(ctx context.Context, file string) error {
	if isNamespace(file) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	return run(exec.CommandContext(ctx, "unshare", "--net="+file, "true"))
}

// isNamespace reports whether a namespace is mounted on the file.
func isNamespace(file string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(file, &stat) == nil && stat.Type == unix.NSFS_MAGIC
}

func linkHost(ctx context.Context, i *instance.Instance) error {
	host, node := i.HostLink()
	have, err := links(ctx, i.NetNS(1))
	if err != nil {
		return err
	}
	if !have[hostLink] {
		if err := ip(ctx, "", "link add", i.HostLinkName(), "type veth peer name", hostLink, "netns", i.NetNS(1)); err != nil {
			return err
		}
	}
	return errors.Join(
		up(ctx, "", i.HostLinkName(), host.String()),
		up(ctx, i.NetNS(1), hostLink, node.String()))
}

func linkNodes(ctx context.Context, i *instance.Instance) error {
	have, err := links(ctx, i.NetNS(1))
	if err != nil {
		return err
	}
	if !have[nodeLink] {
		if err := ip(ctx, i.NetNS(1), "link add", nodeLink, "type veth peer name", nodeLink, "netns", i.NetNS(2)); err != nil {
			return err
		}
	}
	return errors.Join(
		up(ctx, i.NetNS(1), nodeLink, i.NodePrefix(1).String()),
		up(ctx, i.NetNS(2), nodeLink, i.NodePrefix(2).String()))
}

func route(ctx context.Context, i *instance.Instance) error {
	for node := 1; node <= instance.Nodes; node++ {
		ns, other := i.NetNS(node), 3-node
		have, err := links(ctx, ns)
		if err != nil {
			return err
		}
		if !have[deadEnd] {
			if err := ip(ctx, ns, "link add", deadEnd, "type veth peer name", deadEndPeer); err != nil {
				return err
			}
		}
		if err := errors.Join(
			ip(ctx, ns, "link set lo up"),
			ip(ctx, ns, "link set", deadEnd, "up"),
			ip(ctx, ns, "link set", deadEndPeer, "up"),
			ip(ctx, ns, "route replace", instance.PodCIDR(other), "via", i.NodeAddress(other).String()),
			ip(ctx, ns, "route replace default dev", deadEnd, "src", i.NodeAddress(node).String()),
		); err != nil {
			return err
		}
	}
	return nil
}

// Remove deletes the links and namespaces of a state folder, also of an incomplete one. It deletes the links explicitly, which removes both
// ends at once: the kernel removes an unused namespace and its links only a moment later.
func Remove(ctx context.Context, dir string) error {
	var errs []error
	for node := 1; node <= instance.Nodes; node++ {
		ns := filepath.Join(instance.NodeDir(dir, node), "netns")
		if !isNamespace(ns) {
			continue
		}
		have, err := links(ctx, ns)
		errs = append(errs, err)
		for _, name := range []string{hostLink, nodeLink} {
			if have[name] {
				errs = append(errs, ip(ctx, ns, "link del", name))
			}
		}
		errs = append(errs, unix.Unmount(ns, unix.MNT_DETACH))
	}
	return errors.Join(errs...)
}

// links returns the names of the devices in a namespace.
func links(ctx context.Context, ns string) (map[string]bool, error) {
	out, err := command(ctx, ns, "-j link").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the links in %s: %w", ns, err)
	}
	var devices []struct {
		Name string `json:"ifname"`
	}
	if err := json.Unmarshal(out, &devices); err != nil {
		return nil, fmt.Errorf("listing the links in %s: %w", ns, err)
	}
	names := map[string]bool{}
	for _, d := range devices {
		names[d.Name] = true
	}
	return names, nil
}

func up(ctx context.Context, ns, link, address string) error {
	return errors.Join(
		ip(ctx, ns, "address replace", address, "dev", link),
		ip(ctx, ns, "link set", link, "up"))
}

func ip(ctx context.Context, ns string, words ...string) error {
	return run(command(ctx, ns, words...))
}

// command returns an ip command in a namespace, or on the machine if ns is "". nsenter accepts the file of a namespace.
func command(ctx context.Context, ns string, words ...string) *exec.Cmd {
	args := append([]string{"ip"}, strings.Fields(strings.Join(words, " "))...)
	if ns != "" {
		args = append([]string{"nsenter", "--net=" + ns, "--"}, args...)
	}
	return exec.CommandContext(ctx, args[0], args[1:]...)
}

// run runs the command and adds its output to the error.
func run(c *exec.Cmd) error {
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
