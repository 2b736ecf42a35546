package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/config"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

// install applies the objects that every cluster needs, and waits until nodes and DNS are ready.
func install(ctx context.Context, i *instance.Instance, s started, p *progress) error {
	const dns = "deployment/coredns"
	before, err := kubectl(ctx, i, "get", dns, "--namespace=kube-system", "--ignore-not-found", "-o", "name")
	if err != nil {
		return err
	}
	if _, err := kubectl(ctx, i, "apply", "--server-side", "--force-conflicts", "--field-manager=cluster", "-f", config.Bootstrap(i)); err != nil {
		return err
	}
	for n := 1; n <= instance.Nodes; n++ {
		var since time.Time
		if s.ended[n] != nil && before != "" {
			since = s.at
		}
		if err := awaitNode(ctx, i, n, since); err != nil {
			return err
		}
	}
	p.printf("nodes ready")
	if before != "" && len(s.ended) > 0 {
		// After a crash the API server still has the old status of the DNS pods for a while, as with nodes. New pods have no old status.
		if _, err := kubectl(ctx, i, "rollout", "restart", dns, "--namespace=kube-system"); err != nil {
			return err
		}
	}
	if _, err := kubectl(ctx, i, "rollout", "status", dns, "--namespace=kube-system", "--timeout=0"); err != nil {
		return err
	}
	p.printf("DNS ready")
	return nil
}

// kubectlInterval is the time between two calls of kubectl. Each call takes 0.1 s of a core.
const kubectlInterval = 300 * time.Millisecond

// awaitNode waits until a node is Ready. After a crash the API server still has the node's old status for a while, so a restarted node must
// also have renewed its Lease.
func awaitNode(ctx context.Context, i *instance.Instance, n int, startedAt time.Time) error {
	for {
		alive, err := aliveSince(ctx, i, n, startedAt)
		if err != nil {
			return err
		}
		if alive {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not Ready; see %s", i.NodeName(n), componentLog(i, n, "kubelet"))
		case <-time.After(kubectlInterval):
		}
	}
}

func aliveSince(ctx context.Context, i *instance.Instance, n int, startedAt time.Time) (bool, error) {
	ready, err := kubectl(ctx, i, "get", "node", i.NodeName(n), "--ignore-not-found",
		"-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	if err != nil || ready != "True" || startedAt.IsZero() {
		return ready == "True", err
	}
	lease, err := kubectl(ctx, i, "get", "lease", i.NodeName(n), "--namespace=kube-node-lease", "--ignore-not-found",
		"-o", "jsonpath={.spec.renewTime}")
	if err != nil {
		return false, err
	}
	renewed, err := time.Parse(time.RFC3339, lease)
	return err == nil && renewed.After(startedAt), nil
}

func kubectl(ctx context.Context, i *instance.Instance, args ...string) (string, error) {
	c := exec.CommandContext(ctx, filepath.Join(i.BinDir, "kubectl"), args...)
	c.Env = append(os.Environ(), "KUBECONFIG="+i.Kubeconfig(), "KUBECACHEDIR="+filepath.Join(i.Dir(), "kubectl"))
	output, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(output))
	}
	return string(bytes.TrimSpace(output)), nil
}
