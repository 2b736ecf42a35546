// Package node is one Kubernetes node: a process that is process 1 of its own namespaces, builds the node's file system
// and keeps the node's components running.
//
// Process 1, because then the kernel itself guards what `down` promises: when it ends, however it ends, all components,
// shims and containers end with it, and with the last of them all their mounts.
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
)

// isolatedVariable marks the second of the supervisor's two lives.
const isolatedVariable = "GRACEFULAPP_CLUSTER_ISOLATED"

// Supervise runs a node until it is told to end by SIGTERM. The caller has made all namespaces but one (see Start).
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
	lock, err := takeLock(i, node)
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
		return fmt.Errorf("letting the node forward its pods' packets: %w", err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	run(ctx, components(i, node), newRunner(node))
	slog.Info("ended")
	return nil
}

// isolateCgroups makes the node's cgroup the root of all that the supervisor sees, and starts the supervisor anew: a
// cgroup namespace belongs to a thread, and executing a program makes that thread the only one.
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
		return fmt.Errorf("making a cgroup namespace: %w", err)
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
		board:    &board{file: statusFile(instance.InsideState, node)},
		logs:     instance.InsideState + "/logs",
		env:      []string{"PATH=" + instance.InsideBin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/var/lib"},
		prefix:   fmt.Sprintf("node%d-", node),
	}
}

// run starts all components, each as soon as what it needs is ready, and ends them in reverse order.
func run(ctx context.Context, all []component, r *runner) {
	for _, c := range all {
		r.board.all = append(r.board.all, Status{Name: c.name, State: Waiting})
	}
	var stops []func()
	for _, c := range all {
		own, cancel := context.WithCancel(context.Background())
		var ended sync.WaitGroup
		ended.Go(func() { r.keep(own, c) })
		stops = append(stops, func() { cancel(); ended.Wait() })
	}
	<-ctx.Done()
	slog.Info("ending")
	slices.Reverse(stops)
	for _, stop := range stops {
		stop()
	}
}
