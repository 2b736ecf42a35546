// Package cgroup puts processes into control groups and removes what is left of them, on cgroup v1, v2 and hybrids.
//
// It treats all hierarchies of the machine alike: a group is a path that exists in each of them.
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
	// options say which of v1's hierarchies it is, as mount(2) wants it.
	options string
}

// Hierarchies of this machine.
func Hierarchies() ([]Hierarchy, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	return parse(string(mountinfo)), err
}

// parse reads mountinfo (proc(5)): "36 35 98:0 /root /mount/point options - type source options". A hierarchy that is
// mounted several times counts once. The root does not matter: seen from a cgroup namespace it is /../.. and the like.
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

// Create makes the group in every hierarchy.
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

// Delegate hands the controllers of a v2 hierarchy down to the group; on v1 each group has those of its hierarchy.
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

// inheritCPUSet fills the new groups of a v1 cpuset hierarchy: it creates them empty, and no process may enter such a
// group.
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

// Enter moves the calling process, and with it all that it starts later, into the group.
func Enter(hierarchies []Hierarchy, group string) error {
	for _, h := range hierarchies {
		if err := os.WriteFile(filepath.Join(h.Path, group, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("entering cgroup %s: %w", filepath.Join(h.Path, group), err)
		}
	}
	return nil
}

// Processes in the group and all below it, each once.
func Processes(hierarchies []Hierarchy, group string) []int {
	var pids []int
	for _, h := range hierarchies {
		for _, dir := range tree(filepath.Join(h.Path, group)) {
			raw, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if err != nil {
				continue // gone meanwhile
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

// Thaw wakes frozen processes: on cgroup v1 they would not even notice SIGKILL.
func Thaw(hierarchies []Hierarchy, group string) {
	for _, h := range hierarchies {
		for _, dir := range tree(filepath.Join(h.Path, group)) {
			// Each file exists in one kind of hierarchy only; an error means that there is nothing to thaw.
			_ = overwrite(filepath.Join(dir, "freezer.state"), "THAWED")
			_ = overwrite(filepath.Join(dir, "cgroup.freeze"), "0")
		}
	}
}

// overwrite never creates a file.
func overwrite(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// removeTimeout is far more than the kernel needs to empty a group after the end of its last process.
const removeTimeout = 10 * time.Second

// Remove removes the group and all below it. It tries for a while: a group stays busy for a moment after its last
// process has ended, and there is nothing to wait on.
func Remove(hierarchies []Hierarchy, group string) error {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := remove(hierarchies, group)
		if err == nil || time.Since(began) > removeTimeout {
			return err
		}
	}
}

// remove goes deepest first.
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

// tree lists a folder and all below it, parents first; nothing if it is absent.
func tree(dir string) []string {
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() { // with an error it has gone meanwhile
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}
