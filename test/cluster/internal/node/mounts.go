package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

// privateDirs maps the folders of which each node has its own to their names in the node's folder. /run is empty at each start, as after a boot.
var privateDirs = map[string]string{"/run": "run", "/var/lib": "lib", "/var/log": "log", "/tmp": "tmp"}

// sysctls are the kernel settings that the kubelet sets (setupKernelTunables) and that are global for the machine. The node has files with
// these values mounted over them, so that the machine's settings do not change.
var sysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// isolateMounts makes the mounts of the calling process private to its mount namespace and bind-mounts the instance's folder on itself:
// otherwise / could not become read-only, because the lock file in this folder is open for writing.
func isolateMounts(i *instance.Instance) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making the mounts private: %w", err)
	}
	return bind(i.Dir(), i.Dir())
}

// buildFileSystem mounts the file system of a node in the mount namespace of the calling process: the machine's, read-only, with the node's
// own folders at the paths to which a node writes. So every component uses its usual paths, all files of the cluster are in the instance's
// folder, and the kernel removes all mounts with the node's last process.
func buildFileSystem(i *instance.Instance, node int) error {
	resolvConf, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		resolvConf = ""
	}
	for _, step := range []func() error{
		dropNamespaces,
		func() error { return mountPrivate(i, node) },
		mountProc,
		func() error { return mountSysctls(instance.NodeDir(instance.InsideState, node)) },
		func() error { return mountResolvConf(node, resolvConf) },
		func() error {
			return wrap("making / read-only", unix.Mount("", "/", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		},
		// Containers with mount propagation need shared mounts.
		func() error { return wrap("sharing mounts", unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("building the file system of %s: %w", i.NodeName(node), err)
		}
	}
	return nil
}

// dropNamespaces unmounts the namespaces that other programs have mounted. The copies of these mounts here would keep them alive.
func dropNamespaces() error {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, point := range namespaceMounts(string(mountinfo)) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmounting %s: %w", point, err)
		}
	}
	return nil
}

// namespaceMounts returns the mount points of type nsfs in mountinfo (proc(5)).
func namespaceMounts(mountinfo string) []string {
	var points []string
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if len(fields) > 4 && strings.HasPrefix(after, "nsfs ") {
			points = append(points, unescape.Replace(fields[4]))
		}
	}
	return points
}

// unescape decodes the kernel's octal escapes in mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func mountPrivate(i *instance.Instance, node int) error {
	dir := i.NodeDir(node)
	if err := os.RemoveAll(filepath.Join(dir, "run")); err != nil {
		return err
	}
	// These sources come first, because the other mounts hide them.
	for from, to := range map[string]string{i.Dir(): instance.InsideState, i.BinDir: instance.InsideBin} {
		if err := bind(from, filepath.Join(dir, to)); err != nil {
			return err
		}
	}
	for _, from := range privateDirs {
		if err := os.MkdirAll(filepath.Join(dir, from), 0o755); err != nil {
			return err
		}
	}
	for _, to := range []string{"/run", "/var/log", "/tmp", "/var/lib"} { // the last one hides dir
		if err := bind(filepath.Join(dir, privateDirs[to]), to); err != nil {
			return err
		}
	}
	return os.Chmod("/tmp", 0o777|os.ModeSticky)
}

func bind(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	return wrap(fmt.Sprintf("mounting %s on %s", from, to), unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""))
}

// mountProc mounts a /proc with the processes of the node's process namespace.
func mountProc() error {
	return wrap("mounting /proc", unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""))
}

func mountSysctls(dir string) error {
	for name, value := range sysctls {
		file := filepath.Join(dir, "sysctl", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		err := unix.Mount(file, filepath.Join("/proc/sys", name), "", unix.MS_BIND, "")
		if err != nil && !errors.Is(err, unix.ENOENT) { // the kubelet also ignores a setting that the kernel does not have
			return fmt.Errorf("mounting %s: %w", file, err)
		}
	}
	return nil
}

// mountResolvConf makes the node itself (image pulls, pods on the host network) use the cluster's DNS server, not the machine's.
func mountResolvConf(node int, target string) error {
	file := filepath.Join(instance.NodeConfig(instance.InsideState, node), "resolv.conf")
	if target == "" {
		return nil // the machine has no /etc/resolv.conf
	}
	if strings.HasPrefix(target, "/run/") { // the link points to a file that the node's own /run hides
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, raw, 0o644)
	}
	return wrap("mounting "+target, unix.Mount(file, target, "", unix.MS_BIND, ""))
}

// wrap adds the purpose of a system call to its error. It returns nil for nil.
func wrap(purpose string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", purpose, err)
	}
	return nil
}
