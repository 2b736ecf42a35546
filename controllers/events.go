package controllers

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
)

// event is what the recorder takes. Reasons are those of the conditions, and Created, Updated and Deleted for children.
type event struct {
	kind   string // corev1.EventTypeNormal or Warning
	reason string
	action string
	note   string
}

// maxNoteBytes is the limit of the events.k8s.io API.
const maxNoteBytes = 1024

// eventsOf follow from what changed: a status that stays the same is silent, however often it is computed.
func eventsOf(old, updated v1alpha1.GracefulAppStatus, changes []children.Change, last lastApply) []event {
	var all []event
	for _, change := range changes {
		switch {
		case change.Action == children.Create, change.Action == children.Delete:
			all = append(all, childChanged(change))
		case change.Action == children.Update && isRevert(change, last, old.ObservedGeneration == updated.ObservedGeneration):
			all = append(all, reverted(change))
		}
	}
	before := meta.FindStatusCondition(old.Conditions, v1alpha1.ConditionReady)
	after := meta.FindStatusCondition(updated.Conditions, v1alpha1.ConditionReady)
	stalled := meta.IsStatusConditionTrue(updated.Conditions, v1alpha1.ConditionStalled)
	if after != nil && isNews(before, after, stalled) {
		all = append(all, readyChanged(*after, stalled))
	}
	all = append(all, newConflict(old, updated, v1alpha1.ConditionScaleConflict, "Scale")...)
	return append(all, newConflict(old, updated, v1alpha1.ConditionDerivationConflict, "Derive")...)
}

// isRevert tells an update that reverts what another client has changed from one that brings a change of the owner or of the derivation. A process
// that has applied no plan for the app yet can tell by the managed fields only.
func isRevert(change children.Change, last lastApply, isSameGeneration bool) bool {
	return last == samePlan || last == unknownPlan && isSameGeneration && len(change.By) > 0
}

// reverted names who is to be told. The recorder makes one series of equal events.
func reverted(change children.Change) event {
	e := childChanged(change)
	if len(change.By) == 0 {
		e.note += ": another client had removed or changed a field that the operator applies"
		return e
	}
	e.note += ": reverted a change by " + strings.Join(change.By, ", ")
	return e
}

// newConflict is the event of a condition that was not there before, or for another reason.
func newConflict(old, updated v1alpha1.GracefulAppStatus, kind, action string) []event {
	conflict, last := meta.FindStatusCondition(updated.Conditions, kind), meta.FindStatusCondition(old.Conditions, kind)
	if conflict == nil || last != nil && last.Reason == conflict.Reason {
		return nil
	}
	return []event{{kind: corev1.EventTypeWarning, reason: conflict.Reason, action: action, note: conflict.Message}}
}

// isNews: another reason, or, where somebody has to act, another mistake. Progress within one reason is not.
func isNews(before, after *metav1.Condition, stalled bool) bool {
	return before == nil || before.Reason != after.Reason || stalled && before.Message != after.Message
}

func childChanged(change children.Change) event {
	return event{
		kind: corev1.EventTypeNormal, reason: string(change.Action), action: "Apply",
		note: string(change.Action) + " " + change.Kind + " " + change.Name,
	}
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
		r.Recorder.Eventf(app, nil, e.kind, e.reason, e.action, "%s", bounded(e.note, maxNoteBytes))
	}
}
