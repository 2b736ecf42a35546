package controllers

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
)

// event holds the arguments of the event recorder. The reason is a reason of a condition, or Created, Updated or Deleted for an owned object.
type event struct {
	kind   string // corev1.EventTypeNormal or corev1.EventTypeWarning
	reason string
	action string
	note   string
	// related is the first object that the event is about besides the app, nil if there is none. The recorder combines events of one reason into a series,
	// and drops the later notes, only if their related objects are equal.
	related *corev1.ObjectReference
}

// maxNoteBytes is the maximum length of a note in the events.k8s.io API.
const maxNoteBytes = 1024

// changeEvents returns the events for the changes of the owned objects. sameGeneration is true if the status in force is of the app's generation.
func changeEvents(changes []children.Change, last lastApply, sameGeneration bool) []event {
	var all []event
	var created []children.Change
	for _, change := range changes {
		switch {
		case change.Action == children.Create:
			created = append(created, change)
		case change.Action == children.Delete:
			all = append(all, objectChanged(change))
		case change.Action == children.Update && isRevert(change, last, sameGeneration):
			all = append(all, reverted(change))
		}
	}
	if len(created) > 0 {
		all = append(all, objectsCreated(created))
	}
	return all
}

// conditionEvents returns the events for the changes of the conditions. A status without a new reason makes no event.
func conditionEvents(old, updated v1alpha1.GracefulAppStatus) []event {
	var all []event
	before := meta.FindStatusCondition(old.Conditions, v1alpha1.ConditionReady)
	after := meta.FindStatusCondition(updated.Conditions, v1alpha1.ConditionReady)
	stalled := meta.IsStatusConditionTrue(updated.Conditions, v1alpha1.ConditionStalled)
	if after != nil && needsEvent(before, after, stalled) {
		all = append(all, readyChanged(*after, stalled))
	}
	all = append(all, newConflict(old, updated, v1alpha1.ConditionScaleConflict, "Scale")...)
	return append(all, newConflict(old, updated, v1alpha1.ConditionDerivationConflict, "Derive")...)
}

// isRevert reports whether an update reverted a change by another client. Otherwise it applied a change of the spec or of the derivation. If this
// process has not applied a plan for the app yet, only the managed fields show the difference.
func isRevert(change children.Change, last lastApply, isSameGeneration bool) bool {
	return last == samePlan || last == unknownPlan && isSameGeneration && len(change.By) > 0
}

// reverted returns the event of a revert. Its note names the field managers. The recorder combines equal events into a series.
func reverted(change children.Change) event {
	e := objectChanged(change)
	if len(change.By) == 0 {
		e.note += ": another client had removed or changed a field that the operator applies"
		return e
	}
	e.note += ": reverted a change by " + strings.Join(change.By, ", ")
	return e
}

// newConflict returns an event if the condition is new or has a new reason.
func newConflict(old, updated v1alpha1.GracefulAppStatus, kind, action string) []event {
	conflict, last := meta.FindStatusCondition(updated.Conditions, kind), meta.FindStatusCondition(old.Conditions, kind)
	if conflict == nil || last != nil && last.Reason == conflict.Reason {
		return nil
	}
	return []event{{kind: corev1.EventTypeWarning, reason: conflict.Reason, action: action, note: conflict.Message}}
}

// needsEvent reports whether a change of Ready is worth an event: a new reason, or a new message of a stalled app. Progress within one reason is not, nor
// the first progress of an app, whose objects have events of their own.
func needsEvent(before, after *metav1.Condition, stalled bool) bool {
	if before == nil {
		return after.Reason != v1alpha1.ReasonProgressing
	}
	// The message of ReplicaFailure has counts and the name of a pod, which change with each retry.
	isAnother := stalled && after.Reason != v1alpha1.ReasonReplicaFailure && before.Message != after.Message
	return before.Reason != after.Reason || isAnother
}

// apiVersions are those of the owned objects, by kind.
var apiVersions = map[string]string{
	"Deployment": appsv1.SchemeGroupVersion.String(), "Service": corev1.SchemeGroupVersion.String(),
	"PodDisruptionBudget": policyv1.SchemeGroupVersion.String(),
}

func objectChanged(change children.Change) event {
	return event{
		kind: corev1.EventTypeNormal, reason: string(change.Action), action: "Apply",
		note:    string(change.Action) + " " + change.Kind + " " + change.Name,
		related: &corev1.ObjectReference{APIVersion: apiVersions[change.Kind], Kind: change.Kind, Name: change.Name},
	}
}

// objectsCreated returns one event for all objects that a reconcile has created.
func objectsCreated(created []children.Change) event {
	e := objectChanged(created[0])
	for _, change := range created[1:] {
		e.note += ", " + change.Kind + " " + change.Name
	}
	return e
}

func readyChanged(ready metav1.Condition, stalled bool) event {
	kind := corev1.EventTypeNormal
	if stalled || ready.Reason == v1alpha1.ReasonApplyFailed || ready.Reason == v1alpha1.ReasonUnavailable {
		kind = corev1.EventTypeWarning
	}
	return event{kind: kind, reason: ready.Reason, action: "Reconcile", note: ready.Message}
}

func (r *GracefulAppReconciler) record(app *v1alpha1.GracefulApp, all []event) {
	for _, e := range all {
		var related runtime.Object
		if e.related != nil {
			e.related.Namespace = app.Namespace
			related = e.related
		}
		r.Recorder.Eventf(app, related, e.kind, e.reason, e.action, "%s", truncate(e.note, maxNoteBytes))
	}
}
