// Package machine says in plain words what this machine lacks, and installs it where it can.
package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const gib = 1 << 30

// What was measured, and some room: a build grew empty caches by 7 GB, and its linker took 3.2 GB of memory; a cluster
// takes 1.3 GB of memory, and 0.4 GB of disk before anyone loads an image.
const (
	buildDisk, buildMemory = 8 * gib, 4 * gib
	runDisk, runMemory     = 2 * gib, 3 * gib / 2
	// runInotify was measured too: ten of them are the API server's, twelve the kubelets'.
	runInotify = 35
)

// tools are the programs that the cluster calls, and the Debian packages that bring them.
var tools = map[string]string{
	"runc":     "runc",
	"ip":       "iproute2",
	"nft":      "nftables",
	"iptables": "iptables",
	"nsenter":  "util-linux",
	"unshare":  "util-linux",
}

const cniPackage = "containernetworking-plugins"

// cniFolders are Debian's and everybody else's.
var cniFolders = []string{"/usr/lib/cni", "/opt/cni/bin"}

// UseSystemPath makes sure that programs of /usr/sbin are found: a user's PATH may lack it.
func UseSystemPath() {
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}

// CheckBuild says what is missing for building; dir is in the cache folder.
func CheckBuild(dir string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("no program `go`: install Go, in the version that go.mod names, or a newer one")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(checkDisk(dir, buildDisk, "building Kubernetes"), checkMemory(buildMemory, "building Kubernetes"))
}

// CheckRoot says that a command needs Linux and root.
func CheckRoot() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the cluster runs on Linux, this is %s: use a virtual machine", runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		return errors.New("the cluster needs root, for namespaces, mounts and cgroups: run this as root or with sudo")
	}
	return nil
}

// CheckRun says what is missing for running a cluster, and installs packages where there is apt. dir is where the
// state will lie.
func CheckRun(ctx context.Context, dir string) error {
	if err := CheckRoot(); err != nil {
		return err
	}
	if err := ensurePackages(ctx); err != nil {
		return err
	}
	if err := checkOverlay(); err != nil {
		return err
	}
	return errors.Join(checkDisk(dir, runDisk, "a cluster"), checkMemory(runMemory, "a cluster"), checkInotify())
}

// checkInotify asks for what runs out first with several clusters: without it a kubelet ends with "too many open files".
func checkInotify() error {
	const sysctl = "/proc/sys/fs/inotify/max_user_instances"
	raw, err := os.ReadFile(sysctl)
	if err != nil {
		return err
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return fmt.Errorf("reading %s: %w", sysctl, err)
	}
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return err
	}
	used := 0
	for _, d := range descriptors {
		if target, err := os.Readlink(d); err == nil && target == "anon_inode:inotify" {
			used++
		}
	}
	if used+runInotify > limit {
		return fmt.Errorf("%d of %d inotify instances are in use and a cluster needs %d: remove a cluster, "+
			"or run `sysctl fs.inotify.max_user_instances=%d`", used, limit, runInotify, 4*limit)
	}
	return nil
}

// checkOverlay asks the kernel for what containers' file systems are made of.
func checkOverlay() error {
	raw, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(string(raw)), "overlay") && exec.Command("modprobe", "overlay").Run() != nil {
		return errors.New("the kernel has no overlay file system, which containers need")
	}
	return nil
}

// CNIPlugins is the folder of the network plugins.
func CNIPlugins() (string, error) {
	for _, dir := range cniFolders {
		if _, err := os.Stat(filepath.Join(dir, "ptp")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no CNI plugins in %s", strings.Join(cniFolders, " or "))
}

func checkDisk(dir string, need uint64, what string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return err
	}
	if free := stat.Bavail * uint64(stat.Bsize); free < need {
		return fmt.Errorf("%s needs %d GiB of disk at %s, %.1f are free", what, need/gib, dir, float64(free)/gib)
	}
	return nil
}

func checkMemory(need uint64, what string) error {
	meminfo, err := os.ReadFile("/proc/meminfo")
	if errors.Is(err, os.ErrNotExist) {
		return nil // not Linux: builds are fine there
	}
	for line := range strings.Lines(string(meminfo)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 && kib<<10 < need {
			return fmt.Errorf("%s needs %.1f GiB of memory, %.1f are available", what, float64(need)/gib, float64(kib<<10)/gib)
		}
	}
	return err
}
