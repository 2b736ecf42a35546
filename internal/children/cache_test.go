package children

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

func TestCacheKeepsLittleOfForeignObjects(t *testing.T) {
	large := metav1.ObjectMeta{
		Namespace: "default", Name: "hello", UID: "1", ResourceVersion: "7", Generation: 3,
		Labels: map[string]string{"app": "hello"}, Annotations: map[string]string{"example.com/large": strings.Repeat("x", 1000)},
		OwnerReferences: []metav1.OwnerReference{{Kind: "Rollout", Name: "other", Controller: new(true)}, {Kind: "ConfigMap", Name: "c"}},
		ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1("{}")}},
	}
	small := metav1.ObjectMeta{
		Namespace: "default", Name: "hello", UID: "1", ResourceVersion: "7", Generation: 3,
		OwnerReferences: []metav1.OwnerReference{{Kind: "Rollout", Name: "other", Controller: new(true)}},
	}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "hello"}}
	target := autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "hello"}
	for _, tc := range []struct{ in, want any }{
		{in: &appsv1.Deployment{ObjectMeta: large, Spec: appsv1.DeploymentSpec{Selector: selector}}, want: &appsv1.Deployment{ObjectMeta: small}},
		{in: &corev1.Service{ObjectMeta: large, Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.1"}}, want: &corev1.Service{ObjectMeta: small}},
		{
			in: &policyv1.PodDisruptionBudget{ObjectMeta: large,
				Spec:   policyv1.PodDisruptionBudgetSpec{Selector: selector, UnhealthyPodEvictionPolicy: new(policyv1.AlwaysAllow)},
				Status: policyv1.PodDisruptionBudgetStatus{CurrentHealthy: 2}},
			want: &policyv1.PodDisruptionBudget{ObjectMeta: small, Spec: policyv1.PodDisruptionBudgetSpec{Selector: selector}},
		},
		{
			in: &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: large, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: target, MaxReplicas: 9}},
			want: &autoscalingv2.HorizontalPodAutoscaler{
				ObjectMeta: small, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: target},
			},
		},
		{in: cache.DeletedFinalStateUnknown{Key: "default/hello"}, want: cache.DeletedFinalStateUnknown{Key: "default/hello"}},
	} {
		got, err := reduce(tc.in)
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%T: %v\n%s", tc.in, err, diff)
		}
	}
}

func TestCacheKeepsObjectsThatAnAppMayOwn(t *testing.T) {
	controlled := metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{
		{APIVersion: v1alpha1.GroupVersion.String(), Kind: "GracefulApp", Name: "hello", Controller: new(true)},
	}}
	lost := metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
		{Manager: plan.FieldManager, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1("{}")},
	}}
	otherVersion := *controlled.DeepCopy()
	otherVersion.OwnerReferences[0].APIVersion = v1alpha1.GroupVersion.Group + "/v1beta1"
	for name, meta := range map[string]metav1.ObjectMeta{"controlled": controlled, "controlled, with another version": otherVersion, "without its owner reference": lost} {
		in := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.1"}}
		if got, err := reduce(in.DeepCopy()); err != nil || cmp.Diff(in, got) != "" {
			t.Errorf("%s: %v\n%s", name, err, cmp.Diff(in, got))
		}
	}
}

func TestTheCacheOfDrainedPodsHasNoOtherPods(t *testing.T) {
	for _, settings := range DrainedPods() {
		if !settings.Label.Matches(labels.Set{plan.DrainLabel: "hello"}) || settings.Label.Matches(labels.Set{"app": "hello"}) {
			t.Errorf("the cache has the pods of the selector %s", settings.Label)
		}
		ended := corev1.ContainerStatus{Name: "graceful-drain", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}}
		statuses := []corev1.ContainerStatus{ended, {Name: "other", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		meta := metav1.ObjectMeta{Namespace: "default", Name: "hello-1", Labels: map[string]string{"app": "hello", plan.DrainLabel: "hello"}}
		got, err := settings.Transform(&corev1.Pod{
			ObjectMeta: meta, Spec: corev1.PodSpec{NodeName: "worker"}, Status: corev1.PodStatus{InitContainerStatuses: statuses},
		})
		meta.Labels = map[string]string{plan.DrainLabel: "hello"}
		want := &corev1.Pod{ObjectMeta: meta, Status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{ended}}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}
