package fuzz

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

const (
	kindApp        = "GracefulApp"
	kindDeployment = "Deployment"
	kindService    = "Service"
	kindBudget     = "PodDisruptionBudget"
)

// write is a request of the reconciler that is not a dry run.
type write struct {
	verb, kind string
	at         time.Time
	// injected reports whether a failure has replaced the API server's answer, passes whether the same write may succeed soon.
	injected, passes bool
}

func (w write) String() string { return w.verb + " " + w.kind }

// failure answers the reconciler's writes of some kinds with an error.
type failure struct {
	fails func(kind string) bool
	until time.Time
	// once limits it to one write.
	once bool
	err  error
	// performed lets the API server perform the write and loses only its answer.
	performed bool
}

// errorsOfCalls are the errors that a failure injects.
var errorsOfCalls = []error{
	apierrors.NewInternalError(errors.New("injected")),
	apierrors.NewConflict(schema.GroupResource{Resource: "injected"}, "hello", errors.New("injected")),
	apierrors.NewForbidden(schema.GroupResource{Resource: "injected"}, "hello", errors.New("injected")),
	apierrors.NewTimeoutError("injected", 1),
}

// recorder records the reconciler's writes and lets some of them fail.
type recorder struct {
	clock clock.PassiveClock
	// mu guards the fields below while the reconciler runs: it makes some writes at the same time.
	mu       sync.Mutex
	failures []*failure
	writes   []write
}

// record records a write, and returns the failure that answers it, or nil.
func (r *recorder) record(verb, kind string, dryRun []string) *failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.failureOf(kind)
	if len(dryRun) == 0 {
		r.writes = append(r.writes, write{verb: verb, kind: kind, at: r.clock.Now(), injected: f != nil, passes: f != nil && !apierrors.IsForbidden(f.err)})
	}
	return f
}

func (r *recorder) do(verb, kind string, dryRun []string, call func() error) error {
	f := r.record(verb, kind, dryRun)
	if f == nil {
		return call()
	}
	if f.performed {
		if err := call(); err != nil {
			return err
		}
	}
	return f.err
}

// failureOf returns the failure that is in force for a kind, or nil.
func (r *recorder) failureOf(kind string) *failure {
	for i, f := range r.failures {
		if f.until.Before(r.clock.Now()) || !f.fails(kind) {
			continue
		}
		if f.once {
			r.failures = append(r.failures[:i:i], r.failures[i+1:]...)
		}
		return f
	}
	return nil
}

// failUntil is the end of the last failure.
func (r *recorder) failUntil() time.Time {
	var last time.Time
	for _, f := range r.failures {
		if f.until.After(last) {
			last = f.until
		}
	}
	return last
}

func kindOf(c client.Client, object any) string {
	switch o := object.(type) {
	case client.Object:
		if gvk, err := c.GroupVersionKindFor(o); err == nil {
			return gvk.Kind
		}
	case interface{ GetKind() *string }:
		if kind := o.GetKind(); kind != nil {
			return *kind
		}
	}
	return "unknown"
}

// client returns a client that writes through the recorder.
func (r *recorder) client(api client.WithWatch) client.Client {
	return interceptor.NewClient(api, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			dryRun := (&client.CreateOptions{}).ApplyOptions(opts).DryRun
			return r.do("create", kindOf(c, o), dryRun, func() error { return c.Create(ctx, o, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			dryRun := (&client.DeleteOptions{}).ApplyOptions(opts).DryRun
			return r.do("delete", kindOf(c, o), dryRun, func() error { return c.Delete(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			dryRun := (&client.UpdateOptions{}).ApplyOptions(opts).DryRun
			return r.do("update", kindOf(c, o), dryRun, func() error { return c.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			dryRun := (&client.PatchOptions{}).ApplyOptions(opts).DryRun
			return r.do("patch", kindOf(c, o), dryRun, func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			dryRun := (&client.ApplyOptions{}).ApplyOptions(opts).DryRun
			return r.do("apply", kindOf(c, o), dryRun, func() error { return c.Apply(ctx, o, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch,
			opts ...client.SubResourcePatchOption) error {
			dryRun := (&client.SubResourcePatchOptions{}).ApplyOptions(opts).DryRun
			return r.do("patch "+sub, kindOf(c, o), dryRun, func() error { return c.SubResource(sub).Patch(ctx, o, p, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			dryRun := (&client.SubResourceUpdateOptions{}).ApplyOptions(opts).DryRun
			return r.do("update "+sub, kindOf(c, o), dryRun, func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
		},
		SubResourceApply: func(ctx context.Context, c client.Client, sub string, o runtime.ApplyConfiguration,
			opts ...client.SubResourceApplyOption) error {
			dryRun := (&client.SubResourceApplyOptions{}).ApplyOpts(opts).DryRun
			return r.do("apply "+sub, kindOf(c, o), dryRun, func() error { return c.SubResource(sub).Apply(ctx, o, opts...) })
		},
	})
}
