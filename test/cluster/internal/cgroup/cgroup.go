// Package cgroup puts processes into control groups and removes the groups, on cgroup v1, v2 and hybrid systems.
//
// A group is a path that exists in every hierarchy of the machine.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hierarchy is a mounted cgroup tree: one of several on cgroup v1, the only one on v2.
type Hierarchy struct {
	Path string
	V2   bool
	// options are the mount options that name the hierarchy, on cgroup v1.
	options string
}

// Hierarchies returns the hierarchies of this machine.
func Hierarchies() ([]Hierarchy, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	return parse(string(mountinfo)), err
}

// parse reads mountinfo (proc(5)): "36 35 98:0 /root /mount/point options - type source options". A hierarchy that is
// mounted several times counts once. The field for the root is ignored: in a cgroup namespace it is a path such as /../.. .
func parse(mountinfo string) []Hierarchy {
	var found []Hierarchy
	var devices []string
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 3 || !strings.HasPrefix(kind[0], "cgroup") {
			continue
		}
		device, point := fields[2], fields[4]
		if slices.Contains(devices, device) {
			continue
		}
		devices = append(devices, device)
		h := Hierarchy{Path: point, V2: kind[0] == "cgroup2"}
		if !h.V2 {
			h.options = controllers(kind[2])
		}
		found = append(found, h)
	}
	return found
}

// Create creates the group in every hierarchy.
func Create(hierarchies []Hierarchy, group string) error {
	for _, h := range hierarchies {
		if err := os.MkdirAll(filepath.Join(h.Path, group), 0o755); err != nil {
			return err
		}
		if h.V2 {
			continue
		}
		if err := inheritCPUSet(h.Path, group); err != nil {
			return fmt.Errorf("giving cgroup %s its CPUs: %w", group, err)
		}
	}
	return nil
}

// Delegate enables the controllers of a v2 hierarchy for the group. On v1 each group has the controllers of its hierarchy.
func Delegate(hierarchies []Hierarchy, group string) error {
	for _, h := range hierarchies {
		if !h.V2 {
			continue
		}
		if err := enableControllers(h.Path, group); err != nil {
			return fmt.Errorf("giving cgroup %s its controllers: %w", group, err)
		}
	}
	return nil
}

func enableControllers(hierarchy, group string) error {
	parent := hierarchy
	for _, name := range strings.Split(strings.Trim(group, "/"), "/") {
		raw, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for _, controller := range strings.Fields(string(raw)) {
			if err := overwrite(filepath.Join(parent, "cgroup.subtree_control"), "+"+controller); err != nil {
				return err
			}
		}
		parent = filepath.Join(parent, name)
	}
	return nil
}

// inheritCPUSet copies CPUs and memory nodes to new groups of a v1 cpuset hierarchy. A new group has none, and no process may enter it.
func inheritCPUSet(hierarchy, group string) error {
	parent := hierarchy
	for _, name := range strings.Split(strings.Trim(group, "/"), "/") {
		child := filepath.Join(parent, name)
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(child, file))
			if err != nil || strings.TrimSpace(string(value)) != "" {
				continue
			}
			if value, err = os.ReadFile(filepath.Join(parent, file)); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(child, file), value, 0); err != nil {
				return err
			}
		}
		parent = child
	}
	return nil
}

// Enter moves the calling process into the group. The processes that it starts later are in the group too.
func Enter(hierarchies []Hierarchy, group string) error {
	for _, h := range hierarchies {
		if err := os.WriteFile(filepath.Join(h.Path, group, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("entering cgroup %s: %w", filepath.Join(h.Path, group), err)
		}
	}
	return nil
}

// Processes returns the ids of the processes in the group and its subgroups, each once.
func Processes(hierarchies []Hierarchy, group string) []int {
	var pids []int
	for _, h := range hierarchies {
		for _, dir := range tree(filepath.Join(h.Path, group)) {
			raw, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if err != nil {
				continue // the group has been removed meanwhile
			}
			for _, field := range strings.Fields(string(raw)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
					pids = append(pids, pid)
				}
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// Thaw thaws frozen processes: on cgroup v1 they do not react to SIGKILL.
func Thaw(hierarchies []Hierarchy, group string) {
	for _, h := range hierarchies {
		for _, dir := range tree(filepath.Join(h.Path, group)) {
			// Each file exists in one version only. An error means that there is no process to thaw.
			_ = overwrite(filepath.Join(dir, "freezer.state"), "THAWED")
			_ = overwrite(filepath.Join(dir, "cgroup.freeze"), "0")
		}
	}
}

// overwrite writes to an existing file and never creates one.
func overwrite(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// removeTimeout is much longer than the kernel needs to release a group after its last process has exited.
const removeTimeout = 10 * time.Second

// Remove removes the group and its subgroups. It retries: a group stays busy for a moment after its last process has exited, and cgroup v1
// has no event to wait for.
func Remove(hierarchies []Hierarchy, group string) error {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := remove(hierarchies, group)
		if err == nil || time.Since(began) > removeTimeout {
			return err
		}
	}
}

// remove removes the deepest groups first.
func remove(hierarchies []Hierarchy, group string) error {
	var errs []error
	for _, h := range hierarchies {
		dirs := tree(filepath.Join(h.Path, group))
		slices.Reverse(dirs)
		for _, dir := range dirs {
			if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// tree returns a folder and all folders below it, parents first, or none if the folder is absent.
func tree(dir string) []string {
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() { // an error means that the folder was removed meanwhile
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}
