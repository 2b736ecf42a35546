package plan

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// defaultServicePort is HTTP's.
const defaultServicePort = 80

func serviceConfiguration(in *input) (*corev1ac.ServiceApplyConfiguration, error) {
	spec := corev1ac.ServiceSpec()
	service := corev1ac.Service(in.app.Name, in.app.Namespace).
		WithLabels(in.childLabels()).
		WithOwnerReferences(in.ownerReference()).
		WithSpec(spec)
	wanted := corev1.ServiceSpec{}
	if given := in.spec().Service; given != nil {
		wanted = *given.Spec.DeepCopy()
		service.WithLabels(given.Metadata.Labels).WithAnnotations(given.Metadata.Annotations)
	}
	wanted.Ports = in.ports
	wanted.Selector = in.selectorLabels()
	if wanted.Type == "" {
		wanted.Type = corev1.ServiceTypeClusterIP
	}
	return service, throughJSON(wanted, spec)
}

// servicePorts gives every port the name of a container port as its target: a number would be a closed port on half of
// the pods while a rollout changes it.
func servicePorts(in *input) []corev1.ServicePort {
	ports := []corev1.ServicePort{{Name: defaultPortName, Port: defaultServicePort}}
	if given := in.spec().Service; given != nil && len(given.Spec.Ports) > 0 {
		ports = given.DeepCopy().Spec.Ports
	}
	for i := range ports {
		if ports[i].Protocol == "" {
			// Said explicitly because server-side apply keys the ports by port and protocol.
			ports[i].Protocol = corev1.ProtocolTCP
		}
		ports[i].TargetPort = intstr.FromString(in.targetOf(ports[i], len(ports) == 1))
	}
	return ports
}

// targetOf is the name of the container port that a Service port means, "" if there is none. A target that was left out
// is the container port of the same name, else of the same number (Kubernetes' own default), else, for an only port,
// the serving port.
func (in *input) targetOf(port corev1.ServicePort, only bool) string {
	switch target := port.TargetPort; {
	case target.Type == intstr.String && target.StrVal != "":
		return in.portName(func(p corev1.ContainerPort) bool { return p.Name == target.StrVal })
	case target.Type == intstr.Int && target.IntVal != 0:
		return in.portName(func(p corev1.ContainerPort) bool { return p.ContainerPort == target.IntVal })
	}
	if name := in.portName(func(p corev1.ContainerPort) bool { return p.Name != "" && p.Name == port.Name }); name != "" {
		return name
	}
	if name := in.portName(func(p corev1.ContainerPort) bool { return p.ContainerPort == port.Port }); name != "" {
		return name
	}
	if only {
		return in.servingPortName()
	}
	return ""
}

// portName is the name of the first matching port of the derived template; the serving container is asked first.
func (in *input) portName(matches func(corev1.ContainerPort) bool) string {
	for _, p := range in.reachablePorts() {
		if matches(p) {
			return p.Name
		}
	}
	return ""
}

// reachablePorts are the ports that a Service can target, the serving container's first.
func (in *input) reachablePorts() []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	if in.serving >= 0 {
		ports = append(ports, in.template.Spec.Containers[in.serving].Ports...)
	}
	for i, c := range in.template.Spec.Containers {
		if i != in.serving {
			ports = append(ports, c.Ports...)
		}
	}
	for _, c := range in.template.Spec.InitContainers {
		if isNativeSidecar(c) {
			ports = append(ports, c.Ports...)
		}
	}
	return ports
}

func (in *input) servingPortName() string {
	if in.serving < 0 || len(in.template.Spec.Containers[in.serving].Ports) == 0 {
		return ""
	}
	return in.template.Spec.Containers[in.serving].Ports[0].Name
}
