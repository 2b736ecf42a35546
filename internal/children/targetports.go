package children

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// removesTargetPort reports whether the live Service targets a container port that the live pods have and the planned pods lack. Requests to that
// port would have no endpoint.
func removesTargetPort(p plan.Plan, o Observed) bool {
	if p.Deployment == nil || o.Service == nil || o.Deployment == nil {
		return false
	}
	pod, err := podOf(p)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(o.Service.Spec.Ports, func(port corev1.ServicePort) bool {
		return hasPort(o.Deployment.Spec.Template.Spec, port.TargetPort) && !hasPort(pod.Spec, port.TargetPort)
	})
}

// hasPort reports whether a container declares the port, by its name or its number.
func hasPort(pod corev1.PodSpec, target intstr.IntOrString) bool {
	return slices.ContainsFunc(slices.Concat(pod.Containers, pod.InitContainers), func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
			return target == intstr.FromString(p.Name) || target == intstr.FromInt32(p.ContainerPort)
		})
	})
}
