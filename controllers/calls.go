package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// limitedClient sends every write of the reconciler through the limiter. Reads come from the cache.
type limitedClient struct {
	client.Client
	limiter *callLimiter
}

func (c limitedClient) Apply(ctx context.Context, object runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	return c.limiter.do(ctx, targetOf(object), func(ctx context.Context) error { return c.Client.Apply(ctx, object, opts...) })
}

func (c limitedClient) Create(ctx context.Context, object client.Object, opts ...client.CreateOption) error {
	return c.limiter.do(ctx, targetOf(object), func(ctx context.Context) error { return c.Client.Create(ctx, object, opts...) })
}

func (c limitedClient) Patch(ctx context.Context, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return c.limiter.do(ctx, targetOf(object), func(ctx context.Context) error { return c.Client.Patch(ctx, object, patch, opts...) })
}

func (c limitedClient) Delete(ctx context.Context, object client.Object, opts ...client.DeleteOption) error {
	return c.limiter.do(ctx, targetOf(object), func(ctx context.Context) error { return c.Client.Delete(ctx, object, opts...) })
}

func (c limitedClient) Status() client.SubResourceWriter {
	return limitedStatus{SubResourceWriter: c.Client.Status(), limiter: c.limiter}
}

type limitedStatus struct {
	client.SubResourceWriter
	limiter *callLimiter
}

func (s limitedStatus) Patch(ctx context.Context, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return s.limiter.do(ctx, targetOf(object), func(ctx context.Context) error {
		return s.SubResourceWriter.Patch(ctx, object, patch, opts...)
	})
}

// targetOf is the namespace and the type of an object or of an apply configuration: webhooks select by both.
func targetOf(object any) string {
	namespace := ""
	switch o := object.(type) {
	case interface{ GetNamespace() string }:
		namespace = o.GetNamespace()
	case interface{ GetNamespace() *string }:
		namespace = *o.GetNamespace()
	}
	return fmt.Sprintf("%s/%T", namespace, object)
}
