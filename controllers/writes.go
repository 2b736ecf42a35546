package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// guard runs a write, or refuses it.
type guard func(ctx context.Context, write func(context.Context) error) error

// guardedClient passes each write that is stored to a guard. Reads come from the cache and need none.
type guardedClient struct {
	client.Client
	guard guard
}

func (c guardedClient) Apply(ctx context.Context, object runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	write := func(ctx context.Context) error { return c.Client.Apply(ctx, object, opts...) }
	if options := (&client.ApplyOptions{}).ApplyOptions(opts); len(options.DryRun) > 0 {
		return write(ctx)
	}
	return c.guard(ctx, write)
}

func (c guardedClient) Patch(ctx context.Context, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return c.guard(ctx, func(ctx context.Context) error { return c.Client.Patch(ctx, object, patch, opts...) })
}

func (c guardedClient) Delete(ctx context.Context, object client.Object, opts ...client.DeleteOption) error {
	return c.guard(ctx, func(ctx context.Context) error { return c.Client.Delete(ctx, object, opts...) })
}

func (c guardedClient) Status() client.SubResourceWriter { return c.SubResource("status") }

func (c guardedClient) SubResource(name string) client.SubResourceClient {
	return guardedSubResource{SubResourceClient: c.Client.SubResource(name), guard: c.guard}
}

type guardedSubResource struct {
	client.SubResourceClient
	guard guard
}

func (c guardedSubResource) Patch(ctx context.Context, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return c.guard(ctx, func(ctx context.Context) error { return c.SubResourceClient.Patch(ctx, object, patch, opts...) })
}

// tooManyWritesError puts a write off.
type tooManyWritesError struct{ wait time.Duration }

func (e *tooManyWritesError) Error() string {
	return fmt.Sprintf("the operator has written the objects of this app %d times within a minute, because another client changes them after each write; "+
		"it goes on within %s", writeBurst+time.Minute/writeInterval, writeInterval)
}

// waitForWrite is how long the app has to wait until it may write, 0 if it may now. The reserve is left to more important writes.
func (s *appState) waitForWrite(now time.Time, reserve int) time.Duration {
	missing := float64(1+reserve) - s.writes.TokensAt(now)
	return max(0, time.Duration(missing*float64(writeInterval)))
}

// countWrite refuses a write beyond the bound.
func (s *appState) countWrite(now time.Time) error {
	if s.writes.AllowN(now, 1) {
		return nil
	}
	return &tooManyWritesError{wait: s.waitForWrite(now, 0)}
}
