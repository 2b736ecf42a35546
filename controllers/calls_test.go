package controllers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// unanswered is a call that the API server does not answer.
func unanswered(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// startUnanswered makes an unanswered call in the background. The returned channel receives its error.
func startUnanswered(ctx context.Context, limiter *callLimiter) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- limiter.do(ctx, write{target: "a", send: unanswered}) }()
	return ended
}

// ended returns the errors of the calls that have ended.
func ended(calls ...<-chan error) []error {
	synctest.Wait()
	var errs []error
	for _, call := range calls {
		select {
		case err := <-call:
			errs = append(errs, err)
		default:
		}
	}
	return errs
}

func TestSlowCallsWithoutASlotAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newCallLimiter(2, 2, 1)
		ctx, cancel := context.WithCancel(t.Context())
		calls := []<-chan error{startUnanswered(ctx, limiter), startUnanswered(ctx, limiter), startUnanswered(ctx, limiter)}
		if errs := ended(calls...); len(errs) != 0 {
			t.Fatalf("calls that are not slow yet ended: %v", errs)
		}
		time.Sleep(slowAfter)
		if errs := ended(calls...); len(errs) != 1 || !errors.Is(errs[0], errWriteTimeout) {
			t.Fatalf("one of three slow calls has no slot, and these ended: %v", errs)
		}
		if err := limiter.do(t.Context(), write{target: "a", send: func(context.Context) error { return nil }}); err != nil {
			t.Errorf("a fast call needs no slot, and failed: %v", err)
		}
		cancel() // the manager ends
		if errs := ended(calls...); len(errs) != 2 || !errors.Is(errs[0], context.Canceled) || errors.Is(errs[0], errWriteTimeout) {
			t.Errorf("cancelled calls were not given up, and ended with %v", errs)
		}
		later := startUnanswered(t.Context(), limiter)
		time.Sleep(slowAfter)
		if errs := ended(later); len(errs) != 0 {
			t.Errorf("two slots are free, and a slow call ended: %v", errs)
		}
		time.Sleep(callTimeout)
		ended(later)
	})
}

func TestOnlySomeCallsTryWhileNoSlotIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newCallLimiter(1, 1, 1)
		waits := startUnanswered(t.Context(), limiter)
		time.Sleep(slowAfter)
		synctest.Wait()
		probe := startUnanswered(t.Context(), limiter)
		if errs := ended(waits, probe); len(errs) != 0 {
			t.Errorf("one call has the slot, one may try, and these ended: %v", errs)
		}
		if errs := ended(startUnanswered(t.Context(), limiter)); len(errs) != 1 || !errors.Is(errs[0], errWriteTimeout) {
			t.Errorf("a second call to the same target is given up at once, and these ended: %v", errs)
		}
		if err := limiter.do(t.Context(), write{target: "b", send: func(context.Context) error { return nil }}); err != nil {
			t.Errorf("a call to another target failed: %v", err)
		}
		time.Sleep(slowAfter)
		if errs := ended(probe); len(errs) != 1 {
			t.Error("the call that tried was not given up when it was slow")
		}
		if err := limiter.do(t.Context(), write{target: "a", send: func(context.Context) error { return nil }}); err != nil {
			t.Errorf("the next one may not try: %v", err)
		}
		time.Sleep(callTimeout)
		if errs := ended(waits); len(errs) != 1 {
			t.Error("the call in the slot did not time out")
		}
		if errs := ended(startUnanswered(t.Context(), limiter), startUnanswered(t.Context(), limiter)); len(errs) != 0 {
			t.Errorf("the slot is free, and calls were given up at once: %v", errs)
		}
		time.Sleep(callTimeout)
	})
}

func TestTargetsDifferByNamespaceAndType(t *testing.T) {
	team, other := corev1ac.Pod("hello", "team"), corev1ac.Pod("hello", "other")
	if a, b, c := targetOf(team), targetOf(other), targetOf(corev1ac.Service("hello", "team")); a == b || a == c {
		t.Errorf("%s, %s, %s", a, b, c)
	}
}

func TestSlowCallsOfOneTargetLeaveSlotsToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newCallLimiter(2, 1, 1)
		first, second := startUnanswered(t.Context(), limiter), startUnanswered(t.Context(), limiter)
		time.Sleep(slowAfter)
		if errs := ended(first, second); len(errs) != 1 || !errors.Is(errs[0], errWriteTimeout) {
			t.Fatalf("one of two slow calls has a slot of the target, and these ended: %v", errs)
		}
		err := limiter.do(t.Context(), write{target: "b", send: func(context.Context) error {
			time.Sleep(2 * slowAfter)
			return nil
		}})
		if err != nil {
			t.Errorf("a slot is left for another target, and its slow call ended with %v", err)
		}
		time.Sleep(callTimeout)
	})
}

func TestSlowCallTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := newCallLimiter(1, 1, 1).do(t.Context(), write{target: "a", send: unanswered}); !errors.Is(err, errWriteTimeout) {
			t.Errorf("it ended with %v", err)
		}
		if took := time.Since(began); took != callTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

func TestErrorsOfTheCallAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		err := newCallLimiter(1, 1, 1).do(t.Context(), write{target: "a", send: func(context.Context) error {
			time.Sleep(callTimeout - time.Second)
			return refused
		}})
		if !errors.Is(err, refused) {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestEveryWriteIsLimited(t *testing.T) {
	never := interceptor.Funcs{
		Apply: func(ctx context.Context, _ client.WithWatch, _ runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
			return unanswered(ctx)
		},
		Patch: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ client.Patch, _ ...client.PatchOption) error {
			return unanswered(ctx)
		},
		Delete: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.DeleteOption) error {
			return unanswered(ctx)
		},
		SubResourcePatch: func(ctx context.Context, _ client.Client, _ string, _ client.Object, _ client.Patch,
			_ ...client.SubResourcePatchOption) error {
			return unanswered(ctx)
		},
	}
	c := guardedClient{Client: fake.NewClientBuilder().WithInterceptorFuncs(never).Build(), guard: newCallLimiter(0, 0, 0).do}
	object, patch := &corev1.Pod{}, client.RawPatch(types.MergePatchType, []byte("{}"))
	for verb, write := range map[string]func(context.Context) error{
		"apply":        func(ctx context.Context) error { return c.Apply(ctx, corev1ac.Pod("hello", "team")) },
		"patch":        func(ctx context.Context) error { return c.Patch(ctx, object, patch) },
		"delete":       func(ctx context.Context) error { return c.Delete(ctx, object) },
		"patch status": func(ctx context.Context) error { return c.Status().Patch(ctx, object, patch) },
		"patch scale":  func(ctx context.Context) error { return c.SubResource("scale").Patch(ctx, object, patch) },
	} {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if err := write(t.Context()); !errors.Is(err, errWriteTimeout) {
					t.Errorf("it ended with %v", err)
				}
			})
		})
	}
}
