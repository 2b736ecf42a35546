package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/config"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/image"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

// ownImages are made of the binary of the same row.
var ownImages = []struct{ name, binary string }{
	{image.Pause, "pause"},
	{image.CoreDNS, "coredns"},
}

// install brings the cluster's own images and objects, and waits until nodes and DNS are ready.
func install(ctx context.Context, i *instance.Instance, s started, p *progress) error {
	if err := haveBinaries(i); err != nil {
		return err
	}
	for _, own := range ownImages {
		err := onMissing(ctx, i, own.name, func(to io.Writer) error {
			return image.Archive(to, own.name, filepath.Join(i.BinDir, own.binary))
		})
		if err != nil {
			return fmt.Errorf("loading %s: %w", own.name, err)
		}
	}
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
		if s.ended[n] != nil {
			since = s.at
		}
		if err := awaitNode(ctx, i, n, since); err != nil {
			return err
		}
	}
	p.say("nodes ready")
	if before != "" && len(s.ended) > 0 {
		// What the API server says of pods from before a crash is out of date for a while, and would be believed.
		if _, err := kubectl(ctx, i, "rollout", "restart", dns, "--namespace=kube-system"); err != nil {
			return err
		}
	}
	if _, err := kubectl(ctx, i, "rollout", "status", dns, "--namespace=kube-system", "--timeout=0"); err != nil {
		return err
	}
	p.say("DNS ready")
	return nil
}

// kubectlInterval is longer than others: each kubectl takes a tenth of a second of a core.
const kubectlInterval = 300 * time.Millisecond

// awaitNode waits until a node is Ready. After a crash the API server believes its old status for a while, so that one
// that was started must first have renewed its lease.
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
			return fmt.Errorf("%s does not get Ready; see %s", i.NodeName(n), componentLog(i, n, "kubelet"))
		case <-time.After(kubectlInterval):
		}
	}
}

func aliveSince(ctx context.Context, i *instance.Instance, n int, startedAt time.Time) (bool, error) {
	ready, err := kubectl(ctx, i, "get", "node", i.NodeName(n), "--ignore-not-found",
		"-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	if err != nil || ready != "True" {
		return false, err
	}
	lease, err := kubectl(ctx, i, "get", "lease", i.NodeName(n), "--namespace=kube-node-lease", "--ignore-not-found",
		"-o", "jsonpath={.spec.renewTime}")
	if err != nil {
		return false, err
	}
	renewed, err := time.Parse(time.RFC3339, lease)
	return err == nil && renewed.After(startedAt), nil
}

// onMissing loads an image on the nodes that lack it.
func onMissing(ctx context.Context, i *instance.Instance, name string, archive func(io.Writer) error) error {
	for n := 1; n <= instance.Nodes; n++ {
		have, err := managed(ctx, i, n)
		if err != nil {
			return err
		}
		if slices.Contains(have, name) {
			continue
		}
		if err := importImages(ctx, i, n, archive); err != nil {
			return err
		}
		if err := awaitImages(ctx, i, n, []string{name}); err != nil {
			return err
		}
	}
	return nil
}

func kubectl(ctx context.Context, i *instance.Instance, args ...string) (string, error) {
	c := exec.CommandContext(ctx, filepath.Join(i.BinDir, "kubectl"), args...)
	c.Env = append(os.Environ(), "KUBECONFIG="+i.Kubeconfig())
	said, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(said))
	}
	return string(bytes.TrimSpace(said)), nil
}
