package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/image"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/machine"
)

// Load imports the images of archives into both nodes and returns their names for the image field of a pod.
func Load(ctx context.Context, name string, archives []string) ([]string, error) {
	if err := machine.CheckRoot(); err != nil {
		return nil, err
	}
	i, err := running(name)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, archive := range archives {
		names, err := loadArchive(ctx, i, archive)
		if err != nil {
			return nil, fmt.Errorf("loading %s: %w", archive, err)
		}
		all = append(all, names...)
	}
	return all, nil
}

func loadArchive(ctx context.Context, i *instance.Instance, archive string) ([]string, error) {
	var names [instance.Nodes][]string
	err := onEachNode(func(n int) error {
		err := importImages(ctx, i, n, func(to io.Writer) error {
			f, err := os.Open(archive)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			names[n-1], err = image.Rename(to, f)
			return err
		})
		if err != nil {
			return err
		}
		return awaitImages(ctx, i, n, names[n-1])
	})
	return names[0], err
}

// importImages imports an archive into a node's containerd.
func importImages(ctx context.Context, i *instance.Instance, n int, archive func(io.Writer) error) error {
	c := ctr(ctx, i, n, "images", "import", "-")
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	written := errors.Join(archive(in), in.Close())
	if err := c.Wait(); err != nil {
		return fmt.Errorf("%s: ctr images import: %w\n%s", i.NodeName(n), errors.Join(err, written), bytes.TrimSpace(output.Bytes()))
	}
	return written
}

// awaitImages waits until containerd's CRI plugin, which the kubelet uses, has the images. It gets them a moment after the import.
func awaitImages(ctx context.Context, i *instance.Instance, n int, names []string) error {
	bounded, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		have, err := criImages(bounded, i, n)
		if err == nil && !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(have, name) }) {
			return nil
		}
		select {
		case <-bounded.Done():
			return fmt.Errorf("%s: the kubelet does not see all of %s", i.NodeName(n), strings.Join(names, ", "))
		case <-time.After(followInterval):
		}
	}
}

// criImages returns the images of containerd's CRI plugin.
func criImages(ctx context.Context, i *instance.Instance, n int) ([]string, error) {
	out, err := ctr(ctx, i, n, "images", "ls", "--quiet", `labels."io.cri-containerd.image"==managed`).Output()
	if err != nil {
		return nil, fmt.Errorf("%s: listing images: %w", i.NodeName(n), err)
	}
	return strings.Fields(string(out)), nil
}

// ctr returns a ctr command for a node's containerd, in the kubelet's containerd namespace.
func ctr(ctx context.Context, i *instance.Instance, n int, args ...string) *exec.Cmd {
	all := append([]string{"--address", i.Containerd(n), "--namespace", "k8s.io"}, args...)
	return exec.CommandContext(ctx, filepath.Join(i.BinDir, "ctr"), all...)
}
