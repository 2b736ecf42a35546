package controllers

import "testing"

// An app is decoded once per revision: most of its reconciles are caused by its objects and read the same revision again.
func TestAnAppIsDecodedOncePerRevision(t *testing.T) {
	stored := newUnstructuredApp()
	stored.SetName("hello")
	stored.SetUID("1")
	stored.SetResourceVersion("7")
	stored.Object["spec"] = map[string]any{"replicas": int64(2)}
	states := appStates{}
	first, _ := states.forApp(stored)
	second, _ := states.forApp(stored)
	if first.app == second.app || first.app.Spec.Replicas != second.app.Spec.Replicas {
		t.Error("two reconciles of one revision must have the same decoded spec, and each a status of its own")
	}
	stored = stored.DeepCopy()
	stored.SetResourceVersion("8")
	stored.Object["spec"] = map[string]any{"replicas": int64(3)}
	if third, _ := states.forApp(stored); *third.app.Spec.Replicas != 3 {
		t.Error("the next revision was not decoded")
	}
}
