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

// ownImages are made of the binary of the same row.
var ownImages = []struct{ name, binary string }{
	{image.Pause, "pause"},
	{image.CoreDNS, "coredns"},
}

// loadOwn loads the cluster's own images on the nodes that lack them, each as soon as its containerd answers: the API
// server takes longer to start.
func loadOwn(ctx context.Context, i *instance.Instance) error {
	if err := haveBinaries(i); err != nil {
		return err
	}
	return onEachNode(func(n int) error {
		if err := awaitContainerd(ctx, i, n); err != nil {
			return err
		}
		have, err := managed(ctx, i, n)
		if err != nil {
			return err
		}
		for _, own := range ownImages {
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

// onEachNode does the same on all nodes at once.
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
