package testapp

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// Unindexed returns a client for code that reads from a cache with indexes. The API server has none of these indexes, so a list by one returns all
// objects of the namespace.
func Unindexed(api client.WithWatch) client.WithWatch {
	return interceptor.NewClient(api, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			options := (&client.ListOptions{}).ApplyOptions(opts)
			if options.FieldSelector != nil {
				if _, ok := options.FieldSelector.RequiresExactMatch("metadata.name"); !ok {
					options.FieldSelector = nil
				}
			}
			return c.List(ctx, list, options)
		},
	})
}
