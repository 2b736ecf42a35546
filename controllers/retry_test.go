package controllers

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestBackoffEndsAtAMinute(t *testing.T) {
	limiter, request := controllerOptions().RateLimiter, reconcile.Request{}
	if first := limiter.When(request); first != time.Second {
		t.Errorf("the first retry comes after %v", first)
	}
	for range 30 {
		if after := limiter.When(request); after > time.Minute {
			t.Fatalf("a retry comes after %v", after)
		}
	}
}

func TestRetriesComeAfterEvents(t *testing.T) {
	refused := apierrors.NewForbidden(schema.GroupResource{}, "hello", errors.New("exceeded quota"))
	for _, err := range []error{errWriteTimeout, refused} {
		s := reconcileState{err: err}
		result, _ := s.result()
		if result.Priority == nil || *result.Priority >= handler.LowPriority {
			t.Errorf("after %v: %+v", err, result)
		}
	}
}
