package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// The operator lists the pods of an app that is not Ready. It has no cache of them, because the cache would hold all pods of the cluster for the few
// apps that are stuck. A list reads from the API server's memory and runs for one app at a time.
const (
	// stuckAfter is longer than the start of most pods, so that a successful rollout seldom needs a list.
	stuckAfter = 10 * time.Second
	// The operator lists the pods again after a third of the time for which the app has been stuck, within these bounds. So the status is at most a
	// minute old.
	minPodInterval = 20 * time.Second
	maxPodInterval = time.Minute
	// podListTimeout limits how long a list may block a worker.
	podListTimeout = 3 * time.Second
	// podListRetry is the wait before the next attempt if a list for another app is running.
	podListRetry = 5 * time.Second
	// maxStuckBytes leaves room in the note of an event for the words of the Deployment's controller before it, and for the advice after it.
	maxStuckBytes = 640
)

// stuckState holds the result of the last list of an app's pods between reconciles.
type stuckState struct {
	// specDigest identifies the spec at the time of the list. specChangedAt is the time at which this process saw the last change of the spec.
	specDigest    string
	specChangedAt time.Time
	listedAt      time.Time
	stuckPod      children.StuckPod
	// listForbidden is true if the API server did not permit the last list, for example because the ClusterRole is that of an older version.
	listForbidden bool
}

// untilNextList returns the wait until the operator may list the pods again. unready is the time since which the app is not Ready.
func (s *stuckState) untilNextList(unready, now time.Time) time.Duration {
	since := later(unready, s.specChangedAt)
	if s.listedAt.IsZero() {
		return since.Add(stuckAfter).Sub(now)
	}
	interval := min(max(s.listedAt.Sub(since)/3, minPodInterval), maxPodInterval)
	if s.listForbidden {
		interval = maxPodInterval
	}
	return s.listedAt.Add(interval).Sub(now)
}

// resetIfSpecChanged resets the state if the spec has changed.
func (s *stuckState) resetIfSpecChanged(specDigest string, now time.Time) {
	if s.specDigest == specDigest {
		return
	}
	next := stuckState{specDigest: specDigest}
	if s.specDigest != "" {
		next.specChangedAt = now
	}
	*s = next
}

// observeStuckPod finds a stuck pod. It runs after the writes, so that it does not delay them. If the list fails, the result of the last list remains.
func (r *GracefulAppReconciler) observeStuckPod(ctx context.Context, s *reconcileState) {
	stuck := &s.state.stuck
	stuck.resetIfSpecChanged(s.plan.Derivation.SpecDigest, s.now)
	if !s.awaitsPods() {
		stuck.stuckPod, stuck.listedAt, stuck.listForbidden = children.StuckPod{}, time.Time{}, false
		return
	}
	wait := stuck.untilNextList(s.unreadySince(), s.now)
	if wait <= 0 || s.isNewlyStalled() {
		wait = r.updateStuckPod(ctx, s, stuck)
	}
	s.stuckPod, s.podListForbidden = stuck.stuckPod, stuck.listForbidden
	// After an error, the next reconcile comes within a minute anyway, and an earlier one would repeat the rejected write.
	if s.err == nil {
		s.requeueWithin(wait)
	}
}

// updateStuckPod lists the pods, stores the result in stuck and returns the wait until the next list.
func (r *GracefulAppReconciler) updateStuckPod(ctx context.Context, s *reconcileState, stuck *stuckState) time.Duration {
	if !r.podLists.TryLock() {
		return podListRetry
	}
	defer r.podLists.Unlock()
	stuck.listedAt = s.now
	found, err := r.findStuckPod(ctx, s)
	wasForbidden := stuck.listForbidden
	stuck.listForbidden = apierrors.IsForbidden(err)
	switch {
	case err == nil:
		stuck.stuckPod = found
	case !stuck.listForbidden || !wasForbidden: // log a missing permission only once; the status shows it
		log.FromContext(ctx).Error(err, "Listing the pods of an app that is not Ready")
	}
	return stuck.untilNextList(s.unreadySince(), s.now)
}

func (r *GracefulAppReconciler) findStuckPod(ctx context.Context, s *reconcileState) (children.StuckPod, error) {
	ctx, cancel := context.WithTimeout(ctx, podListTimeout)
	defer cancel()
	pods := &corev1.PodList{}
	// With resource version "0", the API server answers from memory. It ignores a limit then; a limit could also hide the stuck pods.
	err := r.live().List(ctx, pods, client.InNamespace(s.app.Namespace), client.MatchingLabels(plan.SelectorLabels(s.app)),
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}})
	if err != nil {
		return children.StuckPod{}, err
	}
	return children.FindStuckPod(s.app.Name, pods.Items, s.startupBudget(), s.now), nil
}

func (s *reconcileState) startupBudget() time.Duration {
	timing := s.plan.Timing
	if s.plan.Deployment == nil && s.app.Status.Timing != nil { // the operator does not know the derivation in force
		timing = *s.app.Status.Timing
	}
	return time.Duration(timing.StartupBudgetSeconds) * time.Second
}

// awaitsPods reports whether some pods are not available, and the reason in the status is one that a message about a stuck pod can explain. A failed
// write is such a reason, because the rollout continues meanwhile.
func (s *reconcileState) awaitsPods() bool {
	d := s.observed.Deployment
	return d != nil && d.Status.AvailableReplicas < d.Status.Replicas && slices.Contains([]string{v1alpha1.ReasonProgressing, v1alpha1.ReasonScaling,
		v1alpha1.ReasonUnavailable, v1alpha1.ReasonPaused, v1alpha1.ReasonProgressDeadlineExceeded, v1alpha1.ReasonRejected, v1alpha1.ReasonAltered,
		v1alpha1.ReasonApplyFailed}, s.summary().reason)
}

// isNewlyStalled reports whether this reconcile makes the app Stalled. Its event must name the stuck pod: if the pod were added later, the changed
// message would cause a second event.
func (s *reconcileState) isNewlyStalled() bool {
	ready, v := meta.FindStatusCondition(s.app.Status.Conditions, v1alpha1.ConditionReady), s.summary()
	return v.conditionType == v1alpha1.ConditionStalled && (ready == nil || ready.Reason != v.reason)
}

func (s *reconcileState) unreadySince() time.Time {
	ready := meta.FindStatusCondition(s.app.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return s.now
	}
	return ready.LastTransitionTime.Time
}

// stuckPodText returns the end of a message: the stuck pod and its reason, or the missing permission to list pods, or "".
func (s reconcileState) stuckPodText() string {
	if s.podListForbidden {
		return "; the operator may not list pods: its ClusterRole lacks the verb list on pods"
	}
	if s.stuckPod.Pod == "" {
		return ""
	}
	text := truncate(fmt.Sprintf("; pod %s: %s", s.stuckPod.Pod, s.stuckPod.Reason), maxStuckBytes)
	if s.stuckPod.Others > 0 {
		text += fmt.Sprintf("; %d more not ready", s.stuckPod.Others)
	}
	return text
}
