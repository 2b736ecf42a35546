package controllers

import (
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
func eventsOf(old, updated v1alpha1.GracefulAppStatus, changes []children.Change) []event {
	var all []event
	for _, change := range changes {
		switch {
		case change.Action == children.Create, change.Action == children.Delete:
			all = append(all, childChanged(change))
		case change.Action == children.Update && old.ObservedGeneration == updated.ObservedGeneration:
			// The spec is the same as before: somebody has changed the child, or what is derived is another one. The recorder makes one
			// series of equal events.
			e := childChanged(change)
			e.note += ": it was not as derived"
			all = append(all, e)
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
