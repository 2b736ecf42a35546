// Package node runs one Kubernetes node. The node's supervisor is process 1 of its own namespaces, builds the node's file system and keeps
// the node's components running.
//
// When process 1 of a namespace exits for any reason, the kernel kills all components, shims and containers in this namespace, and removes
// their mounts with the last process. So `down` leaves nothing behind.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/cgroup"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/registry"
)

// isolatedVariable is set in the environment after the supervisor has executed itself again in its cgroup namespace.
const isolatedVariable = "GRACEFULAPP_CLUSTER_ISOLATED"

// Supervise runs a node until SIGTERM. The caller has created all namespaces except the cgroup namespace (see Start).
func Supervise(i *instance.Instance, node int) error {
	if os.Getpid() != 1 {
		return errors.New("supervise must be process 1 of its own namespace: use `cluster up`")
	}
	if os.Getenv(isolatedVariable) == "" {
		return isolateCgroups(i, node)
	}
	if err := isolateMounts(i); err != nil {
		return err
	}
	lock, err := acquireLock(i, node)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := enterSystemCgroup(); err != nil {
		return err
	}
	if err := syscall.Sethostname([]byte(i.NodeName(node))); err != nil {
		return err
	}
	if err := buildFileSystem(i, node); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("enabling IP forwarding for the node's pods: %w", err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if node == 1 {
		go serveRegistry(ctx)
	}
	run(ctx, components(i, node), newRunner(node))
	slog.Info("stopped")
	return nil
}

// serveRegistry serves the cluster's registry. A node without it works; it has no images of `cluster push`.
func serveRegistry(ctx context.Context) {
	if err := registry.Serve(ctx, fmt.Sprintf(":%d", instance.RegistryPort)); err != nil {
		slog.Error("no registry", "error", err)
	}
}

// isolateCgroups creates a cgroup namespace with the node's cgroup as its root, and executes the supervisor again: a cgroup namespace belongs
// to a thread, and after an exec this thread is the only one.
func isolateCgroups(i *instance.Instance, node int) error {
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return err
	}
	if err := cgroup.Enter(hierarchies, i.NodeCgroup(node)); err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("creating a cgroup namespace: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return unix.Exec(self, os.Args, append(os.Environ(), isolatedVariable+"=1"))
}

func enterSystemCgroup() error {
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return err
	}
	if err := cgroup.Remount(hierarchies); err != nil {
		return err
	}
	if err := cgroup.Create(hierarchies, instance.SystemCgroup); err != nil {
		return err
	}
	return cgroup.Enter(hierarchies, instance.SystemCgroup)
}

func newRunner(node int) *runner {
	return &runner{
		children: newChildren(),
		status:   &statusWriter{file: statusFile(instance.InsideState, node)},
		logs:     instance.InsideState + "/logs",
		env:      []string{"PATH=" + instance.InsideBin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/var/lib"},
		prefix:   fmt.Sprintf("node%d-", node),
	}
}

// run starts each component as soon as its needs are ready, and stops them in reverse order when the context is done.
func run(ctx context.Context, all []component, r *runner) {
	for _, c := range all {
		r.status.all = append(r.status.all, Status{Name: c.name, State: Waiting})
	}
	var stops []func()
	for _, c := range all {
		own, cancel := context.WithCancel(context.Background())
		var ended sync.WaitGroup
		ended.Go(func() { r.keepRunning(own, c) })
		stops = append(stops, func() { cancel(); ended.Wait() })
	}
	<-ctx.Done()
	slog.Info("stopping")
	slices.Reverse(stops)
	for _, stop := range stops {
		stop()
	}
}
