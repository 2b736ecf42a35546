package controllers

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// scaleConflictDuration is how long the condition stays after the operator has reverted the write, so that users see it.
const scaleConflictDuration = 10 * time.Minute

// setOrRemove sets a condition to True, or removes it if it has no reason.
func setOrRemove(status *v1alpha1.GracefulAppStatus, c metav1.Condition, now time.Time) {
	if c.Reason == "" {
		meta.RemoveStatusCondition(&status.Conditions, c.Type)
		return
	}
	c.Message = truncate(c.Message, maxMessageBytes)
	c.Status, c.LastTransitionTime, c.ObservedGeneration = metav1.ConditionTrue, metav1.NewTime(now), status.ObservedGeneration
	meta.SetStatusCondition(&status.Conditions, c)
}

// draining returns the condition Draining. It reads status.terminatingReplicas of the Deployment, which exists since Kubernetes 1.35.
func (s reconcileState) draining() metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionDraining}
	if d := s.observed.Deployment; d != nil && d.Status.TerminatingReplicas != nil && *d.Status.TerminatingReplicas > 0 {
		c.Reason = v1alpha1.ReasonPodsTerminating
		c.Message = fmt.Sprintf("%d terminating pods finish their requests", *d.Status.TerminatingReplicas)
		if t := s.app.Status.Timing; t != nil {
			c.Message += fmt.Sprintf(", for at most %d s each (terminationGracePeriodSeconds)", t.TerminationGracePeriodSeconds)
		}
	}
	return c
}

// scaleConflict returns the condition ScaleConflict. Its message names the client that scales the Deployment, and the object to scale instead.
func (s reconcileState) scaleConflict(now time.Time) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionScaleConflict}
	if s.observed.Autoscaler != "" && s.observed.Deployment != nil { // else the Deployment is missing, or not the app's
		c.Reason = v1alpha1.ReasonAutoscalerTargetsDeployment
		c.Message = plan.AutoscalerMessage(s.app, s.observed.Running())
		return c
	}
	d := s.observed.Deployment
	if by := s.observed.Scaler; by != "" && d.Spec.Replicas != nil && *d.Spec.Replicas != s.replicas() {
		c.Reason = v1alpha1.ReasonDeploymentScaled
		c.Message = fmt.Sprintf("%s scaled Deployment %s to %d, and the operator set it back to %d; scale the GracefulApp instead: kubectl scale "+
			"gracefulapp/%s --replicas=%d", by, s.app.Name, *d.Spec.Replicas, s.replicas(), s.app.Name, *d.Spec.Replicas)
		return c
	}
	if last := s.lastScaleConflict(); last != nil && now.Before(last.LastTransitionTime.Add(scaleConflictDuration)) {
		c.Reason, c.Message = last.Reason, last.Message
	}
	return c
}

// lastScaleConflict returns the condition of a conflict that the operator has reverted, or nil.
func (s reconcileState) lastScaleConflict() *metav1.Condition {
	last := meta.FindStatusCondition(s.app.Status.Conditions, v1alpha1.ConditionScaleConflict)
	if last == nil || last.Reason != v1alpha1.ReasonDeploymentScaled {
		return nil
	}
	return last
}
