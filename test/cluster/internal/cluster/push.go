package cluster

import (
	"context"
	"fmt"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/registry"
)

// Push copies the images of OCI archives to the cluster's registry, and returns their names for the image field of a pod.
func Push(ctx context.Context, name string, archives []string) ([]string, error) {
	i, err := running(name)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, archive := range archives {
		names, err := registry.Push(ctx, i.Registry(), archive)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", archive, err)
		}
		all = append(all, names...)
	}
	return all, nil
}
