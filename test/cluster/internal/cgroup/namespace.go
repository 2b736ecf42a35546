package cgroup

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Remount mounts the hierarchies again, with the root of the caller's cgroup namespace as their root. The caller must be in its own cgroup
// and mount namespaces. Without this the kubelet would see the groups of other nodes, take them for groups of its own pods, and spend seconds
// with its runtime on each of them.
func Remount(hierarchies []Hierarchy) error {
	for _, h := range hierarchies {
		if err := unix.Unmount(h.Path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", h.Path, err)
		}
		kind := "cgroup"
		if h.V2 {
			kind = "cgroup2"
		}
		if err := unix.Mount(kind, h.Path, kind, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, h.options); err != nil {
			return fmt.Errorf("mounting %s: %w", h.Path, err)
		}
	}
	return nil
}

// notControllers are the mount options of cgroup v1 that are no controllers.
var notControllers = []string{"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "seclabel"}

// controllers returns the mount options that identify a v1 hierarchy: its controllers or its name.
func controllers(options string) string {
	var kept []string
	for _, option := range strings.Split(options, ",") {
		switch {
		case strings.HasPrefix(option, "name="):
			kept = append(kept, "none", option)
		case !strings.Contains(option, "=") && !slices.Contains(notControllers, option):
			kept = append(kept, option)
		}
	}
	return strings.Join(kept, ",")
}
