package children

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// losesTarget tells whether the planned pods lack a container port that the live pods have and the live Service targets: requests that go there
// would have no endpoint.
func losesTarget(want *appsv1ac.DeploymentApplyConfiguration, o Observed) bool {
	if want == nil || o.Service == nil || o.Deployment == nil {
		return false
	}
	pod := want.Spec.Template.Spec
	planned := declaredPorts(pod.Containers, pod.InitContainers)
	live := livePorts(o.Deployment.Spec.Template.Spec)
	for _, port := range o.Service.Spec.Ports {
		if target := port.TargetPort.String(); live[target] && !planned[target] {
			return true
		}
	}
	return false
}

// declaredPorts are the names and the numbers of all container ports.
func declaredPorts(lists ...[]corev1ac.ContainerApplyConfiguration) map[string]bool {
	declared := map[string]bool{}
	for _, containers := range lists {
		for _, c := range containers {
			for _, port := range c.Ports {
				if port.Name != nil {
					declared[*port.Name] = true
				}
				if port.ContainerPort != nil {
					declared[number(*port.ContainerPort)] = true
				}
			}
		}
	}
	return declared
}

func livePorts(pod corev1.PodSpec) map[string]bool {
	declared := map[string]bool{}
	for _, containers := range [][]corev1.Container{pod.Containers, pod.InitContainers} {
		for _, c := range containers {
			for _, port := range c.Ports {
				declared[port.Name], declared[number(port.ContainerPort)] = true, true
			}
		}
	}
	return declared
}

func number(port int32) string {
	n := intstr.FromInt32(port)
	return n.String()
}
