package controllers

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// maxConcurrentReconciles is the number of workers. They wait for the API server most of the time; each that waits for a webhook holds one of
	// the requests that the API server's priority and fairness admits, so there are not more.
	maxConcurrentReconciles = 16

	// retryPriority is below every event: a change by a user has 0, and the first list after a start has LowPriority. An app that waits
	// for its retry is raised, and reconciled at once, by an event.
	retryPriority = handler.LowPriority - 1

	// The backoff starts where a retry may find another state of the cluster. It ends early, for some causes are seen only by trying again.
	minBackoff = time.Second
	maxBackoff = time.Minute

	// rejectedRetry is how long to wait before the same request is sent again that the API server called invalid or forbidden. What can be watched wakes
	// the app earlier; permissions, the parameters of policies and the labels of namespaces cannot.
	rejectedRetry = time.Minute

	// conflictRetry is for the case that the watch event which shows what the cache had missed came before the retry was due.
	conflictRetry = time.Second
)

func controllerOptions() controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: maxConcurrentReconciles,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minBackoff, maxBackoff),
	}
}

// retry reconciles an app again after a while, or, beside an error, after its backoff.
func retry(after time.Duration) reconcile.Result {
	return reconcile.Result{RequeueAfter: after, Priority: new(retryPriority)}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
