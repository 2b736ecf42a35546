package cgroup

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Remount shows the calling process, in a cgroup and a mount namespace of its own, the cgroups of its namespace as if
// they were all there are: a kubelet takes every group that it sees for one of its own, and spends seconds with its
// runtime on each that is not.
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

// notControllers are mount options of cgroup v1 that may stand among the controllers.
var notControllers = []string{"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "seclabel"}

// controllers picks from a v1 mount's options those that say which hierarchy it is: controllers, or a name.
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
