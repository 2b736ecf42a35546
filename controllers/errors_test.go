package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gracefulapp/gracefulapp/internal/children"
)

// denied is the error of an admission webhook, which chooses any code of at least 400.
func denied(code int32, reason metav1.StatusReason) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: `admission webhook "images.example.com" denied the request: unknown registry`,
	}}
}

// TestErrorClasses checks that each error has exactly one class, and the wait that belongs to it. An error without a wait is returned, and the queue's
// backoff applies.
func TestErrorClasses(t *testing.T) {
	classes := map[string]func(error) bool{
		"rejected": isRejected, "altered": isAltered, "conflict": isConflict, "rate-limited": isRateLimited, "transient": isTransient,
	}
	tests := []struct {
		name  string
		err   error
		class string
		after time.Duration
	}{
		{name: "a quota", class: "rejected", after: rejectedRequeueAfter, err: apierrors.NewForbidden(deployments, "hello", errors.New("exceeded quota"))},
		{name: "an invalid field", class: "rejected", after: rejectedRequeueAfter, err: apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "hello", nil)},
		{name: "a value of another type", class: "rejected", after: rejectedRequeueAfter, err: apierrors.NewBadRequest("failed to create typed patch object")},
		{name: "a large object", class: "rejected", after: rejectedRequeueAfter, err: apierrors.NewRequestEntityTooLargeError("limit is 3145728")},
		{name: "a webhook denies", class: "rejected", after: rejectedRequeueAfter, err: denied(http.StatusBadRequest, "")},
		{name: "a webhook denies with the code of a failure", class: "rejected", after: rejectedRequeueAfter, err: denied(http.StatusInternalServerError, "")},
		{
			name: "a webhook denies with the code of a conflict", class: "rejected", after: rejectedRequeueAfter,
			err: denied(http.StatusConflict, metav1.StatusReasonConflict),
		},
		{name: "a policy changes a field", class: "altered", after: rejectedRequeueAfter, err: &children.AlteredError{Kind: "Deployment", Name: "hello"}},
		{
			name: "a stale cache", class: "conflict", after: conflictRequeueAfter,
			err: apierrors.NewConflict(deployments, "hello", errors.New("the object has been modified; please apply your changes to the latest version and try again")),
		},
		{name: "too many writes", class: "rate-limited", err: &tooManyWritesError{}},
		{
			name: "a webhook does not answer", class: "transient",
			err: apierrors.NewInternalError(errors.New(`failed calling webhook "images.example.com": failed to call webhook: context deadline exceeded`)),
		},
		{name: "a canceled write", class: "transient", err: errWriteTimeout},
		{name: "a timeout", class: "transient", err: apierrors.NewTimeoutError("request did not complete within requested timeout", 0)},
		{name: "too many requests", class: "transient", err: apierrors.NewTooManyRequestsError("retry later")},
		{name: "no connection", class: "transient", err: context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wrapped := fmt.Errorf("applying Deployment hello: %w", tt.err)
			for class, is := range classes {
				if got, want := anyError(errors.Join(errors.Join(wrapped)), is), class == tt.class; got != want {
					t.Errorf("%s = %v, want %v", class, got, want)
				}
			}
			result, err := (&reconcileState{err: wrapped}).result()
			if result.RequeueAfter != tt.after || (err != nil) != (tt.class == "transient") {
				t.Errorf("requeue after %v, error %v, want %v", result.RequeueAfter, err, tt.after)
			}
		})
	}
}
