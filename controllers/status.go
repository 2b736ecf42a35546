package controllers

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// summary is the common content of the conditions Ready, Reconciling and Stalled.
type summary struct {
	conditionType string // the condition that is True: ConditionReady, ConditionReconciling or ConditionStalled
	reason        string
	message       string
}

func stalledSummary(reason, message string) summary {
	return summary{conditionType: v1alpha1.ConditionStalled, reason: reason, message: message}
}

func reconcilingSummary(reason, message string) summary {
	return summary{conditionType: v1alpha1.ConditionReconciling, reason: reason, message: message}
}

func (s reconcileState) status(now time.Time) v1alpha1.GracefulAppStatus {
	status := *s.app.Status.DeepCopy()
	status.ObservedGeneration = s.app.Generation
	status.Selector = labels.SelectorFromSet(plan.SelectorLabels(s.app)).String()
	if s.plan.Deployment != nil {
		status.Timing = s.plan.Timing.DeepCopy() // appState keeps the status, and a pointer into s would keep all of s
	}
	if s.isApplied() {
		status.Derivation = s.plan.Derivation.DeepCopy()
	}
	if s.plan.Deployment != nil {
		status.Drain = s.plan.Drain.DeepCopy()
	}
	if !s.observeFailed {
		copyCounts(&status, s.observed.Deployment)
	}
	s.summary().setOn(&status, s.app.Generation, now)
	setOrRemove(&status, s.draining(), now)
	setOrRemove(&status, s.scaleConflict(now), now)
	setOrRemove(&status, s.derivationConflict(), now)
	return status
}

// differOnlyInCounts reports whether two statuses differ only in the numbers of pods, in the condition Draining, and in messages. The last two
// contain such numbers.
func differOnlyInCounts(a, b v1alpha1.GracefulAppStatus) bool {
	return apiequality.Semantic.DeepEqual(withoutCounts(a), withoutCounts(b))
}

// countsDiffer reports whether two statuses differ in the numbers of pods. The condition Draining follows from them.
func countsDiffer(a, b v1alpha1.GracefulAppStatus) bool {
	numbers := func(s v1alpha1.GracefulAppStatus) [6]int32 {
		var terminating, withoutSidecar int32
		if s.TerminatingReplicas != nil {
			terminating = *s.TerminatingReplicas
		}
		if s.Drain != nil {
			withoutSidecar = s.Drain.PodsWithoutSidecar
		}
		return [6]int32{s.Replicas, s.UpdatedReplicas, s.ReadyReplicas, s.AvailableReplicas, terminating, withoutSidecar}
	}
	return numbers(a) != numbers(b)
}

func withoutCounts(status v1alpha1.GracefulAppStatus) v1alpha1.GracefulAppStatus {
	status = *status.DeepCopy()
	copyCounts(&status, nil)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionDraining)
	if status.Drain != nil {
		status.Drain.PodsWithoutSidecar = 0
	}
	for i := range status.Conditions {
		status.Conditions[i].Message = ""
	}
	return status
}

func copyCounts(status *v1alpha1.GracefulAppStatus, d *appsv1.Deployment) {
	if d == nil {
		d = &appsv1.Deployment{}
	}
	status.Replicas = d.Status.Replicas
	status.UpdatedReplicas = d.Status.UpdatedReplicas
	status.ReadyReplicas = d.Status.ReadyReplicas
	status.AvailableReplicas = d.Status.AvailableReplicas
	status.TerminatingReplicas = d.Status.TerminatingReplicas
}

// setOn sets Ready, and sets Reconciling and Stalled only if they are True, as kstatus requires.
func (v summary) setOn(status *v1alpha1.GracefulAppStatus, generation int64, now time.Time) {
	condition := metav1.Condition{
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now), Reason: v.reason,
		Message: truncate(v.message, maxMessageBytes),
	}
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		condition.Type, condition.Status = kind, metav1.ConditionFalse
		if kind == v.conditionType {
			condition.Status = metav1.ConditionTrue
		}
		if condition.Status == metav1.ConditionTrue || kind == v1alpha1.ConditionReady {
			meta.SetStatusCondition(&status.Conditions, condition)
		} else {
			meta.RemoveStatusCondition(&status.Conditions, kind)
		}
	}
}

func (s reconcileState) summary() summary {
	switch {
	case s.hasUnknownDerivation() && s.isSpecChanged():
		return stalledSummary(v1alpha1.ReasonUnknownDerivation, s.unknownDerivation())
	case len(s.specErrors) > 0 && !s.hasUnknownDerivation():
		return stalledSummary(v1alpha1.ReasonInvalidSpec, s.specErrors.ToAggregate().Error())
	case len(s.observed.Foreign) > 0:
		return stalledSummary(v1alpha1.ReasonNameTaken, fmt.Sprintf(
			"%s already exists, and the operator does not change it; delete or rename it, give the GracefulApp another name, or set the annotation "+
				"%s: \"true\" to adopt objects that have no controller", strings.Join(s.observed.Foreign, ", "), v1alpha1.AnnotationAdopt))
	case len(s.observed.Terminating) > 0:
		return reconcilingSummary(v1alpha1.ReasonProgressing, fmt.Sprintf(
			"waiting for the garbage collector to delete %s of a deleted GracefulApp with the same name", strings.Join(s.observed.Terminating, ", ")))
	case anyError(s.err, isRejected):
		return stalledSummary(v1alpha1.ReasonRejected, singleLine(s.err)+s.stuckPodText())
	case anyError(s.err, isAltered):
		return stalledSummary(v1alpha1.ReasonAltered, singleLine(s.err)+s.stuckPodText())
	case s.plan.DrainBypass != "" && len(s.changes) == 0:
		return stalledSummary(v1alpha1.ReasonAltered, s.plan.DrainBypass)
	case anyError(s.err, isTransient), anyError(s.err, isRateLimited):
		return reconcilingSummary(v1alpha1.ReasonApplyFailed, singleLine(s.err)+s.stuckPodText())
	case len(s.observed.Deleted()) > 0:
		return reconcilingSummary(v1alpha1.ReasonProgressing, fmt.Sprintf("waiting for the deletion of %s, which another client has asked for; the operator "+
			"then creates it again", strings.Join(s.observed.Deleted(), ", ")))
	}
	return s.progress()
}

// progress derives the conditions from the Deployment's status, if that status is about the applied spec.
func (s reconcileState) progress() summary {
	d := s.observed.Deployment
	// A conflict only means that the cache was stale. The next reconcile sees the current object.
	if d == nil || s.err != nil || len(s.changes) > 0 || d.Status.ObservedGeneration < d.Generation {
		return reconcilingSummary(s.progressReason(), s.counts())
	}
	if c := deploymentCondition(d, appsv1.DeploymentReplicaFailure); c != nil && c.Status == corev1.ConditionTrue {
		_, advice := s.plan.PodRejection(c.Message)
		return stalledSummary(v1alpha1.ReasonReplicaFailure, s.counts()+"; "+c.Message+advice)
	}
	if c := deploymentCondition(d, appsv1.DeploymentProgressing); c != nil && c.Status == corev1.ConditionFalse {
		return stalledSummary(v1alpha1.ReasonProgressDeadlineExceeded, deadlineExceeded(d, strings.TrimSuffix(c.Message, ".")+s.stuckPodText()))
	}
	want, status := s.replicas(), d.Status
	if status.Replicas == want && status.UpdatedReplicas == want && status.ReadyReplicas == want && status.AvailableReplicas == want {
		return summary{conditionType: v1alpha1.ConditionReady, reason: v1alpha1.ReasonAvailable, message: s.counts()}
	}
	if d.Spec.Paused {
		return reconcilingSummary(v1alpha1.ReasonPaused, s.counts()+"; "+s.pausedBy())
	}
	return reconcilingSummary(s.progressReason(), s.counts())
}

// deadlineExceeded adds to the Deployment controller's message that the rollout continues, because a long init container only delays the pods.
func deadlineExceeded(d *appsv1.Deployment, words string) string {
	deadline := ""
	if n := d.Spec.ProgressDeadlineSeconds; n != nil {
		deadline = fmt.Sprintf(" (now %d)", *n)
	}
	return words + "; the rollout continues, and the app becomes Ready when its pods are available; if the pods need more time to start, for example " +
		"for init containers, increase spec.progressDeadlineSeconds" + deadline
}

func (s reconcileState) pausedBy() string {
	if given := s.app.Spec.Paused; given != nil && *given {
		return "a changed template rolls out when you set spec.paused to false"
	}
	return "another client paused the Deployment; to resume it, run: kubectl rollout resume deployment/" + s.app.Name
}

// progressReason returns Progressing for a rollout, Scaling for a change of the replicas, or Unavailable for pods that failed. The last status shows
// which of them it is.
func (s reconcileState) progressReason() string {
	d, last := s.observed.Deployment, meta.FindStatusCondition(s.app.Status.Conditions, v1alpha1.ConditionReady)
	if d == nil || last == nil || d.Status.UpdatedReplicas < d.Status.Replicas {
		return v1alpha1.ReasonProgressing
	}
	switch {
	case last.Reason == v1alpha1.ReasonScaling, last.Reason != v1alpha1.ReasonProgressing && d.Status.Replicas != s.replicas():
		return v1alpha1.ReasonScaling
	case s.err == nil && len(s.changes) == 0 && d.Status.ObservedGeneration >= d.Generation &&
		(last.Status == metav1.ConditionTrue || last.Reason == v1alpha1.ReasonUnavailable):
		return v1alpha1.ReasonUnavailable
	}
	return v1alpha1.ReasonProgressing
}

// replicas returns the desired replicas of the Deployment.
func (s reconcileState) replicas() int32 { return plan.Replicas(s.app, s.observed.Running()) }

func (s reconcileState) counts() string {
	status := v1alpha1.GracefulAppStatus{}
	copyCounts(&status, s.observed.Deployment)
	text := fmt.Sprintf("%d of %d replicas are available, %d ready, %d up to date", status.AvailableReplicas,
		s.replicas(), status.ReadyReplicas, status.UpdatedReplicas)
	if n := status.TerminatingReplicas; n != nil && *n > 0 {
		text += fmt.Sprintf(", %d more draining", *n)
	}
	return text + s.stuckPodText()
}

func deploymentCondition(d *appsv1.Deployment, kind appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range d.Status.Conditions {
		if d.Status.Conditions[i].Type == kind {
			return &d.Status.Conditions[i]
		}
	}
	return nil
}

// maxMessageBytes keeps a condition readable and within its limit of 32,768 bytes.
const maxMessageBytes = 4096

// truncate shortens a message to maxBytes and replaces unprintable characters. Messages of objects and webhooks may have any character, also
// terminal control sequences.
func truncate(message string, maxBytes int) string {
	message = printable(message)
	if len(message) <= maxBytes {
		return message
	}
	const rest = " …"
	return strings.ToValidUTF8(message[:maxBytes-len(rest)], "") + rest
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
