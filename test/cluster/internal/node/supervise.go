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
	"slices"
	"sync"
	"syscall"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/cgroup"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

// Supervise runs a node until it is told to end by SIGTERM. The caller has made the namespaces (see Start).
func Supervise(i *instance.Instance, node int) error {
	if os.Getpid() != 1 {
		return errors.New("supervise must be process 1 of its own namespace: use `cluster up`")
	}
	if err := isolateMounts(i); err != nil {
		return err
	}
	lock, err := takeLock(i, node)
	if err != nil {
		return err
	}
	defer lock.Close()
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return err
	}
	if err := cgroup.Enter(hierarchies, i.SystemCgroup(node)); err != nil {
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
