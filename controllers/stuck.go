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

// The operator lists the pods of an app that is not Ready. It has no cache of pods, because the cache would hold all pods of the cluster for the few
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

// stuckState is the operator's memory of an app's pods between reconciles.
type stuckState struct {
	// specDigest identifies the spec at the time of the list; changed is the time of the last change of the spec that this process has seen.
	specDigest string
	changed    time.Time
	listed     time.Time
	found      children.Stuck
	// isForbidden: the operator may not list pods, as with the roles of an older version.
	isForbidden bool
}

// due returns the wait until the operator may list the pods again. unready is the time since which the app is not Ready.
func (s *stuckState) due(unready, now time.Time) time.Duration {
	since := later(unready, s.changed)
	if s.listed.IsZero() {
		return since.Add(stuckAfter).Sub(now)
	}
	interval := min(max(s.listed.Sub(since)/3, minPodInterval), maxPodInterval)
	if s.isForbidden {
		interval = maxPodInterval
	}
	return s.listed.Add(interval).Sub(now)
}

// follow resets the state if the spec has changed.
func (s *stuckState) follow(specDigest string, now time.Time) {
	if s.specDigest == specDigest {
		return
	}
	next := stuckState{specDigest: specDigest}
	if s.specDigest != "" {
		next.changed = now
	}
	*s = next
}

// observeStuck finds a stuck pod. It runs after the writes, so that it does not delay them. If the list fails, the result of the last list remains.
func (r *GracefulAppReconciler) observeStuck(ctx context.Context, p *reconcileState) {
	s := &p.state.stuck
	s.follow(p.plan.Derivation.SpecDigest, p.now)
	if !p.awaitsPods() {
		s.found, s.listed, s.isForbidden = children.Stuck{}, time.Time{}, false
		return
	}
	wait := s.due(p.unreadySince(), p.now)
	if wait <= 0 || p.isNewlyStalled() {
		wait = r.listStuck(ctx, p, s)
	}
	p.stuck, p.mayNotListPods = s.found, s.isForbidden
	if p.err == nil { // else the next reconcile comes within a minute, and an earlier one would repeat a refused write
		p.requeueWithin(wait)
	}
}

// listStuck lists the pods and returns the wait until the next list.
func (r *GracefulAppReconciler) listStuck(ctx context.Context, p *reconcileState, s *stuckState) time.Duration {
	if !r.podLists.TryLock() {
		return podListRetry
	}
	defer r.podLists.Unlock()
	s.listed = p.now
	found, err := r.findStuck(ctx, p)
	wasForbidden := s.isForbidden
	s.isForbidden = apierrors.IsForbidden(err)
	switch {
	case err == nil:
		s.found = found
	case !s.isForbidden || !wasForbidden: // the status goes on saying that it is forbidden
		log.FromContext(ctx).Error(err, "Listing the pods of an app that is not Ready")
	}
	return s.due(p.unreadySince(), p.now)
}

func (r *GracefulAppReconciler) findStuck(ctx context.Context, p *reconcileState) (children.Stuck, error) {
	ctx, cancel := context.WithTimeout(ctx, podListTimeout)
	defer cancel()
	pods := &corev1.PodList{}
	// With resource version "0", the API server answers from memory. It ignores a limit then; a limit could also hide the stuck pods.
	err := r.live().List(ctx, pods, client.InNamespace(p.app.Namespace), client.MatchingLabels(plan.SelectorLabels(p.app)),
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}})
	if err != nil {
		return children.Stuck{}, err
	}
	return children.FindStuck(p.app.Name, pods.Items, p.startupBudget(), p.now), nil
}

func (p *reconcileState) startupBudget() time.Duration {
	timing := p.plan.Timing
	if p.plan.Deployment == nil && p.app.Status.Timing != nil { // the operator does not know the derivation in force
		timing = *p.app.Status.Timing
	}
	return time.Duration(timing.StartupBudgetSeconds) * time.Second
}

// awaitsPods tells whether pods that exist are not available, and the status is about that, or about a write that failed meanwhile.
func (p *reconcileState) awaitsPods() bool {
	d := p.observed.Deployment
	return d != nil && d.Status.AvailableReplicas < d.Status.Replicas && slices.Contains([]string{v1alpha1.ReasonProgressing, v1alpha1.ReasonScaling,
		v1alpha1.ReasonUnavailable, v1alpha1.ReasonPaused, v1alpha1.ReasonProgressDeadlineExceeded, v1alpha1.ReasonRejected, v1alpha1.ReasonAltered,
		v1alpha1.ReasonApplyFailed}, p.summary().reason)
}

// isNewlyStalled tells whether an event follows: it is to name the pod, because another message would be another event.
func (p *reconcileState) isNewlyStalled() bool {
	ready, v := meta.FindStatusCondition(p.app.Status.Conditions, v1alpha1.ConditionReady), p.summary()
	return v.conditionType == v1alpha1.ConditionStalled && (ready == nil || ready.Reason != v.reason)
}

func (p *reconcileState) unreadySince() time.Time {
	ready := meta.FindStatusCondition(p.app.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return p.now
	}
	return ready.LastTransitionTime.Time
}

// why continues a message with the pod that is stuck, if there is one.
func (p reconcileState) why() string {
	if p.mayNotListPods {
		return "; the operator may not list pods: its ClusterRole lacks the verb list on pods"
	}
	if p.stuck.Pod == "" {
		return ""
	}
	text := truncate(fmt.Sprintf("; pod %s: %s", p.stuck.Pod, p.stuck.Reason), maxStuckBytes)
	if p.stuck.Others > 0 {
		text += fmt.Sprintf("; %d more not ready", p.stuck.Others)
	}
	return text
}
