package lab

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCountReady(t *testing.T) {
	ready := corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}
	starting := corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}}}
	terminating := *ready.DeepCopy()
	terminating.DeletionTimestamp = new(metav1.Now())
	if got := countReady([]corev1.Pod{ready, starting, terminating, {}}); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}
