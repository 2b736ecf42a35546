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

// privateDirs are the node's own; they lie in its folder. /run is emptied at each start, as on any machine.
var privateDirs = map[string]string{"/run": "run", "/var/lib": "lib", "/var/log": "log", "/tmp": "tmp"}

// sysctls are those that the kubelet wants and that belong to the whole machine (its setupKernelTunables). The node sees
// files with the wanted values in their place, so that nothing has to be changed, or changed back.
var sysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// isolateMounts keeps the calling process's mounts to its own mount namespace and gives the instance's folder a mount of
// its own: a file that is open for writing (the lock) would keep / from becoming read-only.
func isolateMounts(i *instance.Instance) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("leaving the machine's mounts: %w", err)
	}
	return bind(i.Dir(), i.Dir())
}

// buildFileSystem gives the calling process, alone in its mount namespace, the file system of a node: that of the
// machine, read-only, with folders of the node's own where a node writes. So every component keeps its usual paths, no
// file of the cluster gets out of the instance's folder, and all mounts end with the node's last process.
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
		// The kubelet hands mounts on to containers that ask for it.
		func() error { return wrap("sharing mounts", unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("building the file system of %s: %w", i.NodeName(node), err)
		}
	}
	return nil
}

// dropNamespaces unmounts all namespaces that others keep by a mount: our copy would keep them alive for ever.
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

// namespaceMounts reads the mount points of type nsfs out of mountinfo (proc(5)).
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

// unescape undoes the kernel's octal escapes in mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func mountPrivate(i *instance.Instance, node int) error {
	dir := i.NodeDir(node)
	if err := os.RemoveAll(filepath.Join(dir, "run")); err != nil {
		return err
	}
	// First what the others would hide.
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

// mountProc shows the processes of the node's own process namespace.
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
		if err != nil && !errors.Is(err, unix.ENOENT) { // a kernel may lack one; then the kubelet skips it too
			return fmt.Errorf("mounting %s: %w", file, err)
		}
	}
	return nil
}

// mountResolvConf lets the node itself (its image pulls, its host network pods) ask the cluster's DNS, not the machine's.
func mountResolvConf(node int, target string) error {
	file := filepath.Join(instance.NodeConfig(instance.InsideState, node), "resolv.conf")
	if target == "" {
		return nil // the machine has none
	}
	if strings.HasPrefix(target, "/run/") { // a link to a file that the node's own /run hides
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

// wrap says what a system call was for; nil stays nil.
func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
