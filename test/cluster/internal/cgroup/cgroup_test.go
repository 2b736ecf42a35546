package cgroup

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

const hybrid = `25 1 0:22 / /sys rw - sysfs sysfs rw
30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw,nsdelegate
34 30 0:27 /docker/x /mnt/again rw - cgroup cgroup rw,cpu,cpuacct
`

func TestParseFindsEachHierarchyOnce(t *testing.T) {
	got := parse(hybrid)
	want := []Hierarchy{
		{Path: "/sys/fs/cgroup/cpu,cpuacct", options: "cpu,cpuacct"},
		{Path: "/sys/fs/cgroup/systemd", options: "none,name=systemd"},
		{Path: "/sys/fs/cgroup/unified", V2: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestParsePureV2(t *testing.T) {
	got := parse("30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n")
	if len(got) != 1 || !got[0].V2 || got[0].options != "" {
		t.Errorf("got %+v", got)
	}
}

func TestCreateFillsCPUSetsDownThePath(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"", "a", "a/b"} { // the kernel creates these files in a real hierarchy
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value := ""
			if dir == "" {
				value = "0-1\n"
			}
			if err := os.WriteFile(filepath.Join(root, dir, file), []byte(value), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := Create([]Hierarchy{{Path: root}}, "/a/b"); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"a/cpuset.cpus", "a/b/cpuset.mems"} {
		if got, err := os.ReadFile(filepath.Join(root, file)); string(got) != "0-1\n" {
			t.Errorf("%s: got %q, %v", file, got, err)
		}
	}
}

func TestProcessesOfTheWholeTreeEachOnce(t *testing.T) {
	root := t.TempDir()
	for dir, pids := range map[string]string{"g": "7\n", "g/a": "9\n8\n", "g/a/b": "7\n", "other": "1\n"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, dir, "cgroup.procs"), []byte(pids), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := Processes([]Hierarchy{{Path: root}}, "/g"); !reflect.DeepEqual(got, []int{7, 8, 9}) {
		t.Errorf("got %v", got)
	}
}

func TestRemoveRemovesOnlyTheTree(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"g/a/b", "g/c", "other"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	hierarchies := []Hierarchy{{Path: root}}
	for range 2 { // the second call finds no group
		if err := Remove(hierarchies, "/g"); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(root)
	if err != nil || len(left) != 1 || left[0].Name() != "other" {
		t.Errorf("want only the folder other, got %v, %v", left, err)
	}
}

func TestThawWritesOnlyExistingFiles(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "g/a"), 0o755); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(root, "g/a/freezer.state")
	if err := os.WriteFile(state, []byte("FROZEN"), 0o644); err != nil {
		t.Fatal(err)
	}
	Thaw([]Hierarchy{{Path: root}}, "/g")
	if got, _ := os.ReadFile(state); string(got) != "THAWED" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(filepath.Join(root, "g/freezer.state")); err == nil {
		t.Error("a file was created")
	}
}
