package main

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// listenMargin is added to hello's start for the naive twin, which has no probe that would tell when it listens.
const listenMargin = time.Second

// generations are those that the last patches made; an older object in the cache says nothing about them.
type generations struct{ app, twin int64 }

// settled tells whether both workloads have come to rest: as many pods as desired, all of the current template, all serving, none
// draining.
func (w *world) settled(ctx context.Context, after generations) (pending, error) {
	if missing, err := w.appSettled(ctx, after.app); err != nil || missing != done {
		return missing, err
	}
	return w.twinSettled(ctx, after.twin)
}

func (w *world) appSettled(ctx context.Context, generation int64) (pending, error) {
	var app v1alpha1.GracefulApp
	if err := w.Get(ctx, client.ObjectKey{Namespace: namespace, Name: appName}, &app); err != nil {
		return "GracefulApp not seen yet", client.IgnoreNotFound(err)
	}
	if app.Generation < generation || app.Status.ObservedGeneration < app.Generation {
		return "the operator has not seen the change yet (is it running?)", nil
	}
	if stalled := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionStalled); stalled != nil {
		return "", fmt.Errorf("GracefulApp %s is stalled: %s: %s", app.Name, stalled.Reason, stalled.Message)
	}
	ready := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionTrue {
		return pending(fmt.Sprintf("GracefulApp is not Ready: %s", messageOf(ready))), nil
	}
	selector, err := k8slabels.Parse(app.Status.Selector)
	if err != nil {
		return "", fmt.Errorf("status.selector %q: %w", app.Status.Selector, err)
	}
	return w.podsSettled(ctx, selector, *app.Spec.Replicas, 0)
}

func messageOf(c *metav1.Condition) string {
	if c == nil {
		return "no condition yet"
	}
	return c.Reason + ": " + c.Message
}

func (w *world) twinSettled(ctx context.Context, generation int64) (pending, error) {
	var d appsv1.Deployment
	if err := w.Get(ctx, client.ObjectKey{Namespace: namespace, Name: twinName}, &d); err != nil {
		return "Deployment not seen yet", client.IgnoreNotFound(err)
	}
	want := *d.Spec.Replicas
	if d.Generation < generation || d.Status.ObservedGeneration < d.Generation ||
		d.Status.UpdatedReplicas != want || d.Status.Replicas != want || d.Status.AvailableReplicas != want {
		return pending(fmt.Sprintf("the naive Deployment has %d of %d pods up to date, %d available",
			d.Status.UpdatedReplicas, want, d.Status.AvailableReplicas)), nil
	}
	return w.podsSettled(ctx, k8slabels.SelectorFromSet(d.Spec.Selector.MatchLabels), want, startSeconds*time.Second+listenMargin)
}

// podsSettled wants as many pods as desired and none besides: status counts do not know the draining ones on every Kubernetes. Each must
// have run for listening.
func (w *world) podsSettled(ctx context.Context, selector k8slabels.Selector, want int32, listening time.Duration) (pending, error) {
	var pods corev1.PodList
	if err := w.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return "", err
	}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp != nil {
			return pending("draining pods, such as " + pod.Name), nil
		}
		if since := runningSince(&pod); since.IsZero() || time.Since(since) < listening {
			return pending(fmt.Sprintf("pod %s is starting%s", pod.Name, waitingReason(&pod))), nil
		}
	}
	if len(pods.Items) != int(want) {
		return pending(fmt.Sprintf("%d of %d pods", len(pods.Items), want)), nil
	}
	return done, nil
}

func runningSince(pod *corev1.Pod) time.Time {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running != nil {
			return c.State.Running.StartedAt.Time
		}
	}
	return time.Time{}
}

// waitingReason names what keeps a pod from starting, such as an image that cannot be pulled.
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

// clear removes what an earlier run has left, by removing the namespace, and makes it anew.
func (w *world) clear(ctx context.Context) error {
	var ns corev1.Namespace
	err := w.Get(ctx, client.ObjectKey{Name: namespace}, &ns)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the namespace: %w", err)
	}
	if err == nil {
		if ns.Labels[ownerLabel] != namespace {
			return fmt.Errorf("the namespace %s exists and is not the demo's (it lacks the label %s=%s)", namespace, ownerLabel, namespace)
		}
		if err := w.Delete(ctx, &ns); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("removing what an earlier run has left: %w", err)
		}
	}
	err = w.waitFor(ctx, "what an earlier run has left to go", 3*time.Minute, func(ctx context.Context) (pending, error) {
		err := w.Get(ctx, client.ObjectKey{Name: namespace}, &ns)
		if apierrors.IsNotFound(err) {
			return done, nil
		}
		return pending("namespace " + namespace), err
	})
	if err != nil {
		return err
	}
	return w.Create(ctx, demoNamespace())
}
