package cluster

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/cgroup"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/machine"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/node"
)

// running opens an instance. It returns an error if a node does not run.
func running(name string) (*instance.Instance, error) {
	i, err := instance.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: run `cluster up`", err)
	}
	stopped, err := stoppedNodes(i)
	if err == nil && len(stopped) > 0 {
		err = fmt.Errorf("a node of instance %q does not run: run `cluster up` to start it, or `cluster down` to remove the instance", name)
	}
	if err == nil {
		err = checkBinaries(i)
	}
	return i, err
}

// checkBinaries returns an error if the binaries were deleted from the cache while the instance runs.
func checkBinaries(i *instance.Instance) error {
	if _, err := os.Stat(filepath.Join(i.BinDir, "kubectl")); err != nil {
		return fmt.Errorf("the binaries of instance %q were deleted: run `cluster down` and `cluster up`: %w", i.Name, err)
	}
	return nil
}

// Env prints shell commands for eval that set the environment for an instance.
func Env(w io.Writer, name string) error {
	if err := machine.CheckRoot(); err != nil {
		return err
	}
	i, err := running(name)
	if err != nil {
		return err
	}
	set := func(key, value string) {
		fmt.Fprintf(w, "export %s='%s'\n", key, strings.ReplaceAll(value, "'", `'\''`))
	}
	set("KUBECONFIG", i.Kubeconfig())
	fmt.Fprintf(w, "export PATH='%s':\"$PATH\"\n", i.BinDir)
	set("CLUSTER_NAME", i.Name)
	set("CLUSTER_LOGS", i.Logs())
	set("CLUSTER_AUDIT_LOG", filepath.Join(i.Logs(), "audit.log"))
	set("CLUSTER_DNS", instance.DNSService)
	for n := 1; n <= instance.Nodes; n++ {
		set(fmt.Sprintf("CLUSTER_EXEC_%d", n), "nsenter --net="+i.NetNS(n)+" --")
		set(fmt.Sprintf("CLUSTER_NODE_IP_%d", n), i.NodeAddress(n).String())
		set(fmt.Sprintf("CLUSTER_NODE_NAME_%d", n), i.NodeName(n))
	}
	return nil
}

// PrintStatus prints each component with its process id on the machine. It returns an error if a component is not ready.
func PrintStatus(w io.Writer, name string) error {
	if err := machine.CheckRoot(); err != nil {
		return err
	}
	i, err := instance.Open(name)
	if err != nil {
		return err
	}
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "instance %s\t%s\tlogs in %s\n", i.Name, i.APIServer(), i.Logs())
	fmt.Fprintln(table, "NODE\tCOMPONENT\tSTATE\tFOR\tPID\tLAST END")
	ready := true
	for n := 1; n <= instance.Nodes; n++ {
		pid, err := node.Supervisor(i.Dir(), n)
		if err != nil {
			return err
		}
		if pid == 0 {
			ready = false
			fmt.Fprintf(table, "%s\tsupervisor\tstopped\t\t\t\n", i.NodeName(n))
			continue
		}
		fmt.Fprintf(table, "%s\tsupervisor\trunning\t\t%d\t\n", i.NodeName(n), pid)
		all, err := node.ReadStatus(i, n)
		if err != nil {
			return err
		}
		pids := componentPIDs(hierarchies, i.NodeCgroup(n)+instance.SystemCgroup)
		for _, s := range all {
			ready = ready && s.State == node.Ready
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", i.NodeName(n), s.Name, s.State,
				time.Since(s.Since).Round(time.Second), pids[s.Name], s.LastEnd)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if !ready {
		return fmt.Errorf("instance %q is not ready", name)
	}
	return nil
}

// componentPIDs returns the process ids of a node's components by their program names. The supervisor has other ids: it runs in its own
// process namespace.
func componentPIDs(hierarchies []cgroup.Hierarchy, group string) map[string]string {
	pids := map[string]string{}
	for _, pid := range cgroup.Processes(hierarchies, group) {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue
		}
		name, _, _ := strings.Cut(string(raw), "\x00")
		pids[filepath.Base(name)] = fmt.Sprint(pid)
	}
	return pids
}
