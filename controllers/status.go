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

// verdict is what the three conditions say together.
type verdict struct {
	kind    string // ConditionReady, ConditionReconciling or ConditionStalled: the one that is True
	reason  string
	message string
}

func (p pass) status(now time.Time) v1alpha1.GracefulAppStatus {
	status := *p.app.Status.DeepCopy()
	status.ObservedGeneration = p.app.Generation
	status.Selector = labels.SelectorFromSet(plan.SelectorLabels(p.app)).String()
	if p.plan.Deployment != nil {
		status.Timing = &p.plan.Timing
	}
	if p.isApplied() {
		status.Derivation = &p.plan.Derivation
	}
	if !p.unread {
		copyCounts(&status, p.observed.Deployment)
	}
	p.verdict().setOn(&status, p.app.Generation, now)
	setOrRemove(&status, p.draining(), now)
	setOrRemove(&status, p.scaleConflict(now), now)
	setOrRemove(&status, p.derivationConflict(), now)
	return status
}

// differOnlyInCounts tells whether two statuses differ in nothing but the numbers of pods, the condition Draining, which is one of them, and the
// messages, which quote them.
func differOnlyInCounts(a, b v1alpha1.GracefulAppStatus) bool {
	return apiequality.Semantic.DeepEqual(withoutCounts(a), withoutCounts(b))
}

func withoutCounts(status v1alpha1.GracefulAppStatus) v1alpha1.GracefulAppStatus {
	status = *status.DeepCopy()
	copyCounts(&status, nil)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionDraining)
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

// setOn sets Ready always, and the other two only when they are True, as kstatus wants it.
func (v verdict) setOn(status *v1alpha1.GracefulAppStatus, generation int64, now time.Time) {
	condition := metav1.Condition{
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now), Reason: v.reason,
		Message: bounded(v.message, maxMessageBytes),
	}
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		condition.Type, condition.Status = kind, metav1.ConditionFalse
		if kind == v.kind {
			condition.Status = metav1.ConditionTrue
		}
		if condition.Status == metav1.ConditionTrue || kind == v1alpha1.ConditionReady {
			meta.SetStatusCondition(&status.Conditions, condition)
		} else {
			meta.RemoveStatusCondition(&status.Conditions, kind)
		}
	}
}

func (p pass) verdict() verdict {
	switch {
	case p.hasUnknownDerivation() && p.isSpecChanged():
		return verdict{v1alpha1.ConditionStalled, v1alpha1.ReasonUnknownDerivation, p.unknownDerivation()}
	case len(p.invalid) > 0 && !p.hasUnknownDerivation():
		return verdict{v1alpha1.ConditionStalled, v1alpha1.ReasonInvalidSpec, p.invalid.ToAggregate().Error()}
	case len(p.observed.Foreign) > 0:
		return verdict{v1alpha1.ConditionStalled, v1alpha1.ReasonNameTaken, fmt.Sprintf(
			"%s is in the way and is not touched; delete or rename it, give the GracefulApp another name, or let it take over what nobody "+
				"controls by the annotation %s: \"true\"", strings.Join(p.observed.Foreign, ", "), v1alpha1.AnnotationAdopt)}
	case len(p.observed.Leaving) > 0:
		return verdict{v1alpha1.ConditionReconciling, v1alpha1.ReasonProgressing, fmt.Sprintf(
			"waiting until %s of a deleted GracefulApp of this name is gone", strings.Join(p.observed.Leaving, ", "))}
	case some(p.err, rejected):
		return verdict{v1alpha1.ConditionStalled, v1alpha1.ReasonRejected, textOf(p.err) + p.why()}
	case some(p.err, isAltered):
		return verdict{v1alpha1.ConditionStalled, v1alpha1.ReasonAltered, textOf(p.err) + p.why()}
	case some(p.err, isTransient), some(p.err, isPutOff):
		return verdict{v1alpha1.ConditionReconciling, v1alpha1.ReasonApplyFailed, textOf(p.err) + p.why()}
	}
	return p.progress()
}

// progress reads the Deployment's own status, provided that it is about what was applied.
func (p pass) progress() verdict {
	d := p.observed.Deployment
	// A conflict only means that the cache was old: the next pass sees what is there.
	if d == nil || p.err != nil || len(p.changes) > 0 || d.Status.ObservedGeneration < d.Generation {
		return verdict{v1alpha1.ConditionReconciling, p.progressReason(), p.counts()}
	}
	if c := deploymentCondition(d, appsv1.DeploymentReplicaFailure); c != nil && c.Status == corev1.ConditionTrue {
		return verdict{v1alpha1.ConditionStalled, v1alpha1.ReasonReplicaFailure, c.Message}
	}
	if c := deploymentCondition(d, appsv1.DeploymentProgressing); c != nil && c.Status == corev1.ConditionFalse {
		return verdict{v1alpha1.ConditionStalled, v1alpha1.ReasonProgressDeadlineExceeded, deadlineExceeded(d, strings.TrimSuffix(c.Message, ".")+p.why())}
	}
	want, s := p.replicas(), d.Status
	if s.Replicas == want && s.UpdatedReplicas == want && s.ReadyReplicas == want && s.AvailableReplicas == want {
		return verdict{v1alpha1.ConditionReady, v1alpha1.ReasonAvailable, p.counts()}
	}
	if d.Spec.Paused {
		return verdict{v1alpha1.ConditionReconciling, v1alpha1.ReasonPaused, p.counts() + "; " + p.pausedBy()}
	}
	return verdict{v1alpha1.ConditionReconciling, p.progressReason(), p.counts()}
}

// deadlineExceeded adds to the words of the Deployment's controller that it goes on: a long init container only delays the pods.
func deadlineExceeded(d *appsv1.Deployment, words string) string {
	deadline := ""
	if n := d.Spec.ProgressDeadlineSeconds; n != nil {
		deadline = fmt.Sprintf(" (%d)", *n)
	}
	return words + "; the rollout goes on, and the app becomes Ready by itself if its pods do; if they need more time, as with long init containers, " +
		"raise spec.progressDeadlineSeconds" + deadline
}

func (p pass) pausedBy() string {
	if given := p.app.Spec.Paused; given != nil && *given {
		return "a changed template waits until spec.paused is false"
	}
	return "somebody has paused the Deployment: kubectl rollout resume deployment/" + p.app.Name
}

// progressReason tells a rollout from scaling and from pods that broke, by what the last status was.
func (p pass) progressReason() string {
	d, last := p.observed.Deployment, meta.FindStatusCondition(p.app.Status.Conditions, v1alpha1.ConditionReady)
	if d == nil || last == nil || d.Status.UpdatedReplicas < d.Status.Replicas {
		return v1alpha1.ReasonProgressing
	}
	switch {
	case last.Reason == v1alpha1.ReasonScaling, last.Reason != v1alpha1.ReasonProgressing && d.Status.Replicas != p.replicas():
		return v1alpha1.ReasonScaling
	case p.err == nil && len(p.changes) == 0 && d.Status.ObservedGeneration >= d.Generation &&
		(last.Status == metav1.ConditionTrue || last.Reason == v1alpha1.ReasonUnavailable):
		return v1alpha1.ReasonUnavailable
	}
	return v1alpha1.ReasonProgressing
}

// replicas that the Deployment should have.
func (p pass) replicas() int32 { return plan.Replicas(p.app, p.observed.Running()) }

func (p pass) counts() string {
	status := v1alpha1.GracefulAppStatus{}
	copyCounts(&status, p.observed.Deployment)
	text := fmt.Sprintf("%d of %d replicas are available, %d ready, %d up to date", status.AvailableReplicas,
		p.replicas(), status.ReadyReplicas, status.UpdatedReplicas)
	if n := status.TerminatingReplicas; n != nil && *n > 0 {
		text += fmt.Sprintf(", %d more draining", *n)
	}
	return text + p.why()
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

// bounded text fits where it goes, and moves no cursor of a terminal: what a cluster's objects and webhooks say may have any character.
func bounded(message string, most int) string {
	message = printable(message)
	if len(message) <= most {
		return message
	}
	const rest = " …"
	return strings.ToValidUTF8(message[:most-len(rest)], "") + rest
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
