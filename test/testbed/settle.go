package testbed

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// AppSettled returns Done when a GracefulApp is settled: it has the desired number of pods, all of them are up to date and Ready, and none is
// terminating. The pods of a paused app need not be up to date. generation is the object's generation after the last change; the cache may still have an
// older one.
func (t *Testbed) AppSettled(ctx context.Context, name string, generation int64) (Pending, error) {
	var app v1alpha1.GracefulApp
	if err := t.Get(ctx, client.ObjectKey{Name: name}, &app); err != nil {
		return "GracefulApp not seen yet", client.IgnoreNotFound(err)
	}
	if app.Generation < generation || app.Status.ObservedGeneration < app.Generation {
		return "the operator has not seen the change yet (is it running?)", nil
	}
	if stalled := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionStalled); stalled != nil {
		if stalled.Reason == v1alpha1.ReasonReplicaFailure {
			return Pending(messageOf(stalled)), nil // the ReplicaSet controller retries; just after the API server has started its requests may be forbidden
		}
		if stalled.Reason == v1alpha1.ReasonAltered { // the lab's sabotage: a policy alters the pods
			return t.DeploymentSettled(ctx, name, 0, 0)
		}
		return "", fmt.Errorf("GracefulApp %s is stalled: %s: %s", app.Name, stalled.Reason, stalled.Message)
	}
	if app.Spec.Paused != nil && *app.Spec.Paused {
		return t.pausedSettled(ctx, &app)
	}
	ready := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionTrue {
		return Pending(fmt.Sprintf("GracefulApp is not Ready: %s", messageOf(ready))), nil
	}
	selector, err := k8slabels.Parse(app.Status.Selector)
	if err != nil {
		return "", fmt.Errorf("status.selector %q: %w", app.Status.Selector, err)
	}
	return t.podsSettled(ctx, selector, *app.Spec.Replicas, 0)
}

// pausedSettled is AppSettled for a paused app. Its pods may have an older template, and then it is never Ready.
func (t *Testbed) pausedSettled(ctx context.Context, app *v1alpha1.GracefulApp) (Pending, error) {
	var d appsv1.Deployment
	if err := t.Get(ctx, client.ObjectKey{Name: app.Name}, &d); err != nil {
		return "Deployment not seen yet", client.IgnoreNotFound(err)
	}
	want := *app.Spec.Replicas
	if d.Status.ObservedGeneration < d.Generation || d.Status.Replicas != want || d.Status.AvailableReplicas != want {
		return Pending(fmt.Sprintf("Deployment %s has %d of %d pods, %d available", app.Name, d.Status.Replicas, want, d.Status.AvailableReplicas)), nil
	}
	return t.podsSettled(ctx, k8slabels.SelectorFromSet(d.Spec.Selector.MatchLabels), want, 0)
}

func messageOf(c *metav1.Condition) string {
	if c == nil {
		return "no condition yet"
	}
	return c.Reason + ": " + c.Message
}

// DeploymentSettled is AppSettled for a plain Deployment. listening is the time that each container must have run: a pod without a readiness probe
// is Ready before its server listens.
func (t *Testbed) DeploymentSettled(ctx context.Context, name string, generation int64, listening time.Duration) (Pending, error) {
	var d appsv1.Deployment
	if err := t.Get(ctx, client.ObjectKey{Name: name}, &d); err != nil {
		return "Deployment not seen yet", client.IgnoreNotFound(err)
	}
	want := *d.Spec.Replicas
	if d.Generation < generation || d.Status.ObservedGeneration < d.Generation ||
		d.Status.UpdatedReplicas != want || d.Status.Replicas != want || d.Status.AvailableReplicas != want {
		return Pending(fmt.Sprintf("Deployment %s has %d of %d pods up to date, %d available", name,
			d.Status.UpdatedReplicas, want, d.Status.AvailableReplicas)), nil
	}
	return t.podsSettled(ctx, k8slabels.SelectorFromSet(d.Spec.Selector.MatchLabels), want, listening)
}

// podsSettled returns Done when there are exactly want pods, none is terminating, and each has run for listening. It counts the pods itself, because
// some versions of Kubernetes do not count terminating pods in the status.
func (t *Testbed) podsSettled(ctx context.Context, selector k8slabels.Selector, want int32, listening time.Duration) (Pending, error) {
	var pods corev1.PodList
	if err := t.List(ctx, &pods, client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return "", err
	}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp != nil {
			return Pending("terminating pods, such as " + pod.Name), nil
		}
		if since := runningSince(&pod); since.IsZero() || time.Since(since) < listening {
			return Pending(fmt.Sprintf("pod %s is starting%s", pod.Name, waitingReason(&pod))), nil
		}
	}
	if len(pods.Items) != int(want) {
		return Pending(fmt.Sprintf("%d of %d pods", len(pods.Items), want)), nil
	}
	return Done, nil
}

func runningSince(pod *corev1.Pod) time.Time {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running != nil {
			return c.State.Running.StartedAt.Time
		}
	}
	return time.Time{}
}

// waitingReason returns the reason why a pod does not start, such as ErrImagePull.
func waitingReason(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Waiting != nil && c.State.Waiting.Reason != "" {
			return ": " + c.State.Waiting.Reason + " " + c.State.Waiting.Message
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return ": " + c.Message
		}
	}
	return ""
}
