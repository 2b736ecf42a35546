package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// write is a write request that a guard may send.
type write struct {
	// target is the namespace, kind and subresource of the object, by which webhooks select requests.
	target      string
	subresource string
	dryRun      bool
	// transfersOwnership is true if the write transfers managed fields to the operator. An apply of the same object follows it.
	transfersOwnership bool
	send               func(context.Context) error
}

// guard sends a write, or returns an error that says why it does not.
type guard func(context.Context, write) error

// guardedClient is a client that sends its writes through a guard. Its reads come from the cache.
type guardedClient struct {
	client.Client
	guard guard
}

func (c guardedClient) Apply(ctx context.Context, object runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	options := (&client.ApplyOptions{}).ApplyOptions(opts)
	return c.guard(ctx, write{target: targetOf(object), dryRun: len(options.DryRun) > 0, send: func(ctx context.Context) error {
		return c.Client.Apply(ctx, object, opts...)
	}})
}

func (c guardedClient) Patch(ctx context.Context, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return c.guard(ctx, write{target: targetOf(object), transfersOwnership: true, send: func(ctx context.Context) error {
		return c.Client.Patch(ctx, object, patch, opts...)
	}})
}

func (c guardedClient) Delete(ctx context.Context, object client.Object, opts ...client.DeleteOption) error {
	return c.guard(ctx, write{target: targetOf(object), send: func(ctx context.Context) error { return c.Client.Delete(ctx, object, opts...) }})
}

func (c guardedClient) Status() client.SubResourceWriter { return c.SubResource(statusSubresource) }

const (
	statusSubresource = "status"
	scaleSubresource  = "scale"
)

func (c guardedClient) SubResource(name string) client.SubResourceClient {
	return guardedSubResource{SubResourceClient: c.Client.SubResource(name), name: name, guard: c.guard}
}

type guardedSubResource struct {
	client.SubResourceClient
	name  string
	guard guard
}

func (c guardedSubResource) Patch(ctx context.Context, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return c.guard(ctx, write{target: targetOf(object) + "/" + c.name, subresource: c.name, send: func(ctx context.Context) error {
		return c.SubResourceClient.Patch(ctx, object, patch, opts...)
	}})
}

// targetOf returns the namespace and kind of an object or apply configuration. If the kind is not set, it uses the Go type.
func targetOf(object any) string {
	namespace, kind := "", ""
	switch o := object.(type) {
	case client.Object:
		namespace, kind = o.GetNamespace(), o.GetObjectKind().GroupVersionKind().Kind
	case interface{ GetNamespace() *string }:
		namespace = *o.GetNamespace()
	}
	if kind == "" {
		kind = fmt.Sprintf("%T", object)
	}
	return namespace + "/" + kind
}
