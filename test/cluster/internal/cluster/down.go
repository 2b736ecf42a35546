package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/cgroup"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/machine"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/network"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/node"
)

// killTimeout bounds the wait for the last process of a killed node, which takes less than a second.
const killTimeout = 20 * time.Second

// Down removes an instance completely, even an incomplete or broken one. It needs only the name. If a step fails it still does the next
// ones, and it can be repeated.
func Down(ctx context.Context, name string) error {
	if err := machine.CheckRoot(); err != nil {
		return err
	}
	p := newProgress(name)
	dir := instance.Dir(name)
	unlock, err := instance.Lock(ctx, dir)
	if err != nil {
		return err
	}
	defer unlock()
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return err
	}
	cgroup.Thaw(hierarchies, instance.Cgroup(name))
	var errs []error
	for n := 1; n <= instance.Nodes; n++ {
		errs = append(errs, node.Kill(dir, n, killTimeout))
	}
	errs = append(errs,
		killRemaining(hierarchies, instance.Cgroup(name)),
		network.Remove(ctx, dir),
		unmountBelow(dir),
		removeCgroups(hierarchies, name))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("removing instance %q: %w", name, err)
	}
	// The folder goes last, because a repeated call needs it.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	_ = os.Remove(instance.Root) // stays while it holds other instances
	p.printf("down")
	return nil
}

// killRemaining kills the processes that have entered the instance's cgroups from outside its process namespaces, for instance a debugger.
func killRemaining(hierarchies []cgroup.Hierarchy, group string) error {
	for range 100 {
		pids := cgroup.Processes(hierarchies, group)
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(50 * time.Millisecond) // the kernel notifies only their parents
	}
	return fmt.Errorf("processes do not exit: %v", cgroup.Processes(hierarchies, group))
}

func removeCgroups(hierarchies []cgroup.Hierarchy, name string) error {
	if err := cgroup.Remove(hierarchies, instance.Cgroup(name)); err != nil {
		return err
	}
	for _, h := range hierarchies {
		_ = os.Remove(filepath.Join(h.Path, instance.CgroupRoot)) // stays while it holds other instances
	}
	return nil
}

// unmountBelow unmounts all mounts below a folder in the machine's mount namespace.
func unmountBelow(dir string) error {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var errs []error
	for _, point := range mountsBelow(string(mountinfo), dir) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}

// mountsBelow returns the mount points below a folder in mountinfo (proc(5)), latest first, so that nested ones come before their parents.
func mountsBelow(mountinfo, dir string) []string {
	var points []string
	for line := range strings.Lines(mountinfo) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	slices.Reverse(points)
	return points
}
