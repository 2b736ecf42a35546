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
func install(ctx context.Context, i *instance.Instance, p *progress) error {
	for _, own := range ownImages {
		err := onMissing(ctx, i, own.name, func(to io.Writer) error {
			return image.Archive(to, own.name, filepath.Join(i.BinDir, own.binary))
		})
		if err != nil {
			return fmt.Errorf("loading %s: %w", own.name, err)
		}
	}
	wait := fmt.Sprintf("--timeout=%s", startTimeout)
	steps := []struct {
		done string
		args []string
	}{
		{"", []string{"apply", "--server-side", "--force-conflicts", "--field-manager=cluster", "-f", config.Bootstrap(i)}},
		{"nodes ready", append([]string{"wait", "--for=condition=Ready", wait}, nodeRefs(i)...)},
		{"DNS ready", []string{"rollout", "status", "deployment/coredns", "--namespace=kube-system", wait}},
	}
	for _, step := range steps {
		if err := kubectl(ctx, i, step.args...); err != nil {
			return err
		}
		if step.done != "" {
			p.say("%s", step.done)
		}
	}
	return nil
}

func nodeRefs(i *instance.Instance) []string {
	var refs []string
	for n := 1; n <= instance.Nodes; n++ {
		refs = append(refs, "node/"+i.NodeName(n))
	}
	return refs
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

func kubectl(ctx context.Context, i *instance.Instance, args ...string) error {
	c := exec.CommandContext(ctx, filepath.Join(i.BinDir, "kubectl"), args...)
	c.Env = append(os.Environ(), "KUBECONFIG="+i.Kubeconfig())
	if said, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(said))
	}
	return nil
}
