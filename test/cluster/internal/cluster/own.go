package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/image"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

// clusterImages are the images that `up` builds, each from one binary.
var clusterImages = []struct{ name, binary string }{
	{image.Pause, "pause"},
	{image.CoreDNS, "coredns"},
}

// loadClusterImages loads clusterImages into each node without them as soon as the node's containerd runs, which is before the API server is
// ready.
func loadClusterImages(ctx context.Context, i *instance.Instance) error {
	if err := checkBinaries(i); err != nil {
		return err
	}
	return onEachNode(func(n int) error {
		if err := awaitContainerd(ctx, i, n); err != nil {
			return err
		}
		have, err := criImages(ctx, i, n)
		if err != nil {
			return err
		}
		for _, own := range clusterImages {
			if slices.Contains(have, own.name) {
				continue
			}
			err := importImages(ctx, i, n, func(to io.Writer) error {
				return image.Archive(to, own.name, filepath.Join(i.BinDir, own.binary))
			})
			if err == nil {
				err = awaitImages(ctx, i, n, []string{own.name})
			}
			if err != nil {
				return fmt.Errorf("loading %s: %w", own.name, err)
			}
		}
		return nil
	})
}

// onEachNode calls the function for all nodes concurrently.
func onEachNode(do func(n int) error) error {
	results := make(chan error, instance.Nodes)
	for n := 1; n <= instance.Nodes; n++ {
		go func() { results <- do(n) }()
	}
	var errs []error
	for range instance.Nodes {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

func awaitContainerd(ctx context.Context, i *instance.Instance, n int) error {
	for {
		connection, err := new(net.Dialer).DialContext(ctx, "unix", i.Containerd(n))
		if err == nil {
			return connection.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(followInterval):
		}
	}
}
