package children

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// CacheByObject returns the cache's settings for the kinds that Observe reads. The cache keeps the objects that a GracefulApp owns. Of all others, which
// may be many and large, it keeps the identity, what a PodDisruptionBudget selects and what an autoscaler targets.
func CacheByObject() map[client.Object]cache.ByObject {
	all := map[client.Object]cache.ByObject{}
	for _, kind := range Kinds() {
		all[kind] = cache.ByObject{Transform: reduce}
	}
	return all
}

// reduce returns what the cache keeps of an object. The argument may also be the tombstone of a deleted object, which it returns unchanged.
func reduce(in any) (any, error) {
	switch o := in.(type) {
	case *appsv1.Deployment:
		if isForeign(o) {
			return &appsv1.Deployment{ObjectMeta: identity(o)}, nil
		}
	case *corev1.Service:
		if isForeign(o) {
			return &corev1.Service{ObjectMeta: identity(o)}, nil
		}
	case *policyv1.PodDisruptionBudget:
		if isForeign(o) {
			return &policyv1.PodDisruptionBudget{ObjectMeta: identity(o), Spec: policyv1.PodDisruptionBudgetSpec{Selector: o.Spec.Selector}}, nil
		}
		o.Status = policyv1.PodDisruptionBudgetStatus{}
	case *autoscalingv2.HorizontalPodAutoscaler:
		target := autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: o.Spec.ScaleTargetRef}
		return &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: identity(o), Spec: target}, nil
	}
	return in, nil
}

// DrainedPods returns the settings of a cache of the pods with a drain sidecar. Of these it keeps how their init containers ended.
func DrainedPods() map[client.Object]cache.ByObject {
	hasDrainSidecar, err := labels.Parse(plan.DrainLabel)
	utilruntime.Must(err)
	transform := func(in any) (any, error) {
		if pod, ok := in.(*corev1.Pod); ok {
			return reducePod(pod), nil
		}
		return in, nil // the tombstone of a deleted pod
	}
	return map[client.Object]cache.ByObject{&corev1.Pod{}: {Label: hasDrainSidecar, Transform: transform}}
}

// reducePod keeps the label with the app's name, and how containers have ended.
func reducePod(o *corev1.Pod) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: identity(o)}
	pod.Labels = map[string]string{plan.DrainLabel: o.Labels[plan.DrainLabel]}
	for _, c := range o.Status.InitContainerStatuses {
		if end := c.State.Terminated; end != nil {
			pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses,
				corev1.ContainerStatus{Name: c.Name, State: corev1.ContainerState{Terminated: end}})
		}
	}
	return pod
}

// isForeign reports whether no app can own the object: no GracefulApp controls it, and if it has no controller, the operator did not apply it.
func isForeign(object metav1.Object) bool {
	if owner := metav1.GetControllerOfNoCopy(object); owner != nil {
		version, err := schema.ParseGroupVersion(owner.APIVersion)
		return err != nil || owner.Kind != "GracefulApp" || version.Group != v1alpha1.GroupVersion.Group
	}
	return !slices.ContainsFunc(object.GetManagedFields(), plan.IsApplied)
}

func identity(object metav1.Object) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{
		Namespace: object.GetNamespace(), Name: object.GetName(), UID: object.GetUID(), ResourceVersion: object.GetResourceVersion(),
		Generation: object.GetGeneration(), DeletionTimestamp: object.GetDeletionTimestamp(),
	}
	if owner := metav1.GetControllerOf(object); owner != nil {
		meta.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	return meta
}
