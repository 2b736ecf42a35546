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

// The operator lists the pods of an app that is not Ready. A cache of pods would hold all of the cluster's, for the few apps that are stuck; a list
// costs one call to the API server's memory, for one app at a time.
const (
	// stuckAfter exceeds what most pods take to start, so that a rollout that goes well seldom costs a list.
	stuckAfter = 10 * time.Second
	// An app's pods are listed again after a third of the time that it has been stuck, within these bounds: the status is a minute old at most.
	minPodInterval = 20 * time.Second
	maxPodInterval = time.Minute
	// podListTimeout is what a list that hangs takes from one worker.
	podListTimeout = 3 * time.Second
	// podListRetry is for a list that would have to wait for that of another app.
	podListRetry = 5 * time.Second
	// maxStuckBytes leaves room in the note of an event for the words of the Deployment's controller before it, and for the advice after it.
	maxStuckBytes = 640
)

// stuckState is what is known of an app's pods from one reconcile to the next.
type stuckState struct {
	// specDigest is of the spec that the pods were listed for; changed is the time since which it is in force, if this process has seen the change.
	specDigest string
	changed    time.Time
	listed     time.Time
	found      children.Stuck
	// isForbidden: the operator may not list pods, as with the roles of an older version.
	isForbidden bool
}

// due tells how long it takes until the pods may be listed again, given the time since which the app is not Ready.
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

// follow forgets the pods of another spec.
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

// observeStuck runs after the writes, so that it delays none of them. If the list fails, the last one counts.
func (r *GracefulAppReconciler) observeStuck(ctx context.Context, p *pass) {
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
		p.putOff(wait)
	}
}

// listStuck returns how long to wait until the next list.
func (r *GracefulAppReconciler) listStuck(ctx context.Context, p *pass, s *stuckState) time.Duration {
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

func (r *GracefulAppReconciler) findStuck(ctx context.Context, p *pass) (children.Stuck, error) {
	ctx, cancel := context.WithTimeout(ctx, podListTimeout)
	defer cancel()
	pods := &corev1.PodList{}
	// Version 0 is what the API server has in memory. It ignores a limit then, which could hide the pods that are stuck.
	err := r.live().List(ctx, pods, client.InNamespace(p.app.Namespace), client.MatchingLabels(plan.SelectorLabels(p.app)),
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}})
	if err != nil {
		return children.Stuck{}, err
	}
	return children.FindStuck(p.app.Name, pods.Items, p.startupBudget(), p.now), nil
}

func (p *pass) startupBudget() time.Duration {
	timing := p.plan.Timing
	if p.plan.Deployment == nil && p.app.Status.Timing != nil { // the operator does not know the derivation in force
		timing = *p.app.Status.Timing
	}
	return time.Duration(timing.StartupBudgetSeconds) * time.Second
}

// awaitsPods tells whether pods that exist are not available, and the status is about that, or about a write that failed meanwhile.
func (p *pass) awaitsPods() bool {
	d := p.observed.Deployment
	return d != nil && d.Status.AvailableReplicas < d.Status.Replicas && slices.Contains([]string{v1alpha1.ReasonProgressing, v1alpha1.ReasonScaling,
		v1alpha1.ReasonUnavailable, v1alpha1.ReasonPaused, v1alpha1.ReasonProgressDeadlineExceeded, v1alpha1.ReasonRejected, v1alpha1.ReasonAltered,
		v1alpha1.ReasonApplyFailed}, p.verdict().reason)
}

// isNewlyStalled tells whether an event follows: it is to name the pod, because another message would be another event.
func (p *pass) isNewlyStalled() bool {
	ready, v := meta.FindStatusCondition(p.app.Status.Conditions, v1alpha1.ConditionReady), p.verdict()
	return v.kind == v1alpha1.ConditionStalled && (ready == nil || ready.Reason != v.reason)
}

func (p *pass) unreadySince() time.Time {
	ready := meta.FindStatusCondition(p.app.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return p.now
	}
	return ready.LastTransitionTime.Time
}

// why continues a message with the pod that is stuck, if there is one.
func (p pass) why() string {
	if p.mayNotListPods {
		return "; the operator may not list pods: its ClusterRole lacks the verb list on pods"
	}
	if p.stuck.Pod == "" {
		return ""
	}
	text := bounded(fmt.Sprintf("; pod %s: %s", p.stuck.Pod, p.stuck.Reason), maxStuckBytes)
	if p.stuck.Others > 0 {
		text += fmt.Sprintf("; %d more not ready", p.stuck.Others)
	}
	return text
}
