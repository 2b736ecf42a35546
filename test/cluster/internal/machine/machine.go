// Package machine checks that this machine can build and run a cluster. It installs missing Debian packages; other errors say how to solve them.
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

// The needs of a build and of a cluster: measured figures with a margin. A build filled empty caches with 7 GB, and its linker needed 3.2 GB of
// memory. A cluster needs 1.3 GB of memory, and 0.4 GB of disk before images are loaded.
const (
	buildDisk, buildMemory = 8 * gib, 4 * gib
	runDisk, runMemory     = 2 * gib, 3 * gib / 2
	// runInotify is the number of inotify instances, also measured: the API server has ten of them and the kubelets have twelve.
	runInotify = 35
)

// tools maps the programs that the cluster calls to their Debian packages.
var tools = map[string]string{
	"runc":     "runc",
	"ip":       "iproute2",
	"nft":      "nftables",
	"iptables": "iptables",
	"nsenter":  "util-linux",
	"unshare":  "util-linux",
}

const cniPackage = "containernetworking-plugins"

// cniFolders are the folders of CNI plugins on Debian and on other distributions.
var cniFolders = []string{"/usr/lib/cni", "/opt/cni/bin"}

// UseSystemPath appends the system's folders to PATH: a user's PATH may not have /usr/sbin.
func UseSystemPath() {
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}

// CheckBuild returns an error if the machine cannot build the binaries. dir is their folder in the cache.
func CheckBuild(dir string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("the program `go` is not installed: install Go, in the version of go.mod or a newer one")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(checkDisk(dir, buildDisk, "building Kubernetes"), checkMemory(buildMemory, "building Kubernetes"))
}

// CheckRoot returns an error unless the command runs on Linux and as root.
func CheckRoot() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the cluster runs on Linux, this is %s: use a virtual machine", runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		return errors.New("the cluster needs root, for namespaces, mounts and cgroups: run this as root or with sudo")
	}
	return nil
}

// CheckRun returns an error if the machine cannot run a cluster. It installs missing packages if the machine has apt-get. dir is the folder of
// the cluster's state.
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

// checkInotify checks the number of free inotify instances, which are the first limit for several clusters: without one a kubelet exits with
// "too many open files".
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

// checkOverlay checks that the kernel has the overlay file system, which containerd mounts for containers.
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

// CNIPlugins returns the folder of the network plugins.
func CNIPlugins() (string, error) {
	for _, dir := range cniFolders {
		if _, err := os.Stat(filepath.Join(dir, "ptp")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no CNI plugins in %s", strings.Join(cniFolders, " or "))
}

func checkDisk(dir string, need uint64, purpose string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return err
	}
	if free := stat.Bavail * uint64(stat.Bsize); free < need {
		return fmt.Errorf("%s needs %d GiB of disk at %s, %.1f are free", purpose, need/gib, dir, float64(free)/gib)
	}
	return nil
}

func checkMemory(need uint64, purpose string) error {
	meminfo, err := os.ReadFile("/proc/meminfo")
	if errors.Is(err, os.ErrNotExist) {
		return nil // not Linux, where a build works too
	}
	for line := range strings.Lines(string(meminfo)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 && kib<<10 < need {
			return fmt.Errorf("%s needs %.1f GiB of memory, %.1f are available", purpose, float64(need)/gib, float64(kib<<10)/gib)
		}
	}
	return err
}
