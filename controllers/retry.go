package controllers

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// maxConcurrentReconciles is the number of workers. Workers mostly wait for the API server. A worker that waits for a webhook occupies a seat of
	// API Priority and Fairness, so there should not be more of them.
	maxConcurrentReconciles = 16

	// retryPriority is lower than the priority of every event: a user's change has 0, and the initial list after a start has LowPriority. An event
	// raises the priority of an app that waits for its retry, so that it is reconciled at once.
	retryPriority = handler.LowPriority - 1

	// minBackoff is long enough for the cluster to change before the retry. maxBackoff is short, because some causes can be detected only by a retry.
	minBackoff = time.Second
	maxBackoff = time.Minute

	// rejectedRequeueAfter is the wait before the operator repeats a request that the API server rejected as invalid or forbidden. The causes that
	// the operator watches trigger an earlier retry. It does not watch permissions, parameters of policies and labels of namespaces.
	rejectedRequeueAfter = time.Minute

	// conflictRequeueAfter is the wait after a conflict. A retry is needed because the watch event with the newer object may have arrived already.
	conflictRequeueAfter = time.Second
)

func controllerOptions() controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: maxConcurrentReconciles,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minBackoff, maxBackoff),
	}
}

// retry returns a result that reconciles the app again after a wait. Together with an error, the backoff applies instead.
func retry(after time.Duration) reconcile.Result {
	return reconcile.Result{RequeueAfter: after, Priority: new(retryPriority)}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
