package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// defaultServicePort is HTTP's.
const defaultServicePort = 80

func serviceConfiguration(in *input) (*corev1ac.ServiceApplyConfiguration, error) {
	spec := corev1ac.ServiceSpec()
	service := corev1ac.Service(in.app.Name, in.app.Namespace).
		WithLabels(in.commonLabels()).
		WithAnnotations(in.commonAnnotations(nil)).
		WithOwnerReferences(in.ownerReference()).
		WithSpec(spec)
	if given := in.spec().Service; given != nil {
		service.WithLabels(given.Metadata.Labels).WithAnnotations(given.Metadata.Annotations)
	}
	return service, Convert(in.serviceSpec(), spec)
}

func (in *input) serviceSpec() corev1.ServiceSpec {
	wanted := corev1.ServiceSpec{}
	if given := in.spec().Service; given != nil {
		wanted = *given.Spec.DeepCopy()
	}
	wanted.Ports = slices.Clone(in.ports)
	for i, p := range in.ports {
		wanted.Ports[i].TargetPort = in.targetPort(p)
	}
	if hasIdleAffinityConfig(wanted) {
		wanted.SessionAffinityConfig = nil
	}
	wanted.Selector = in.selectorLabels()
	if wanted.Type == "" {
		wanted.Type = corev1.ServiceTypeClusterIP
	}
	return wanted
}

// servicePorts gives every port the name of a container port as its target: a number would be a closed port on half of
// the pods while a rollout changes it.
func servicePorts(in *input) []corev1.ServicePort {
	given := in.spec().Service
	if given == nil || len(given.Spec.Ports) == 0 {
		return []corev1.ServicePort{{
			Name: defaultPortName, Port: defaultServicePort, Protocol: corev1.ProtocolTCP,
			TargetPort: intstr.FromString(in.servingPortName()),
		}}
	}
	ports := given.DeepCopy().Spec.Ports
	for i := range ports {
		// Said explicitly because server-side apply keys the ports by port and protocol.
		ports[i].Protocol = protocol(ports[i].Protocol)
		ports[i].TargetPort = intstr.FromString(in.targetOf(ports[i], len(ports) == 1))
	}
	return ports
}

// targetOf returns the name of the container port that a Service port targets, or "". A target that was left out
// is the serving container's port of the same name, else of the same number (Kubernetes' own default), else, for an only
// port, the serving port. The protocol must fit, for Kubernetes looks for name and protocol.
func (in *input) targetOf(port corev1.ServicePort, only bool) string {
	byName := func(name string) func(corev1.ContainerPort) bool {
		return func(p corev1.ContainerPort) bool { return p.Name == name && protocol(p.Protocol) == port.Protocol }
	}
	byNumber := func(number int32) func(corev1.ContainerPort) bool {
		return func(p corev1.ContainerPort) bool {
			return p.ContainerPort == number && protocol(p.Protocol) == port.Protocol
		}
	}
	switch target := port.TargetPort; {
	case target.Type == intstr.String && target.StrVal != "":
		return portName(in.reachablePorts(), byName(target.StrVal))
	case target.Type == intstr.Int && target.IntVal != 0:
		return portName(in.reachablePorts(), byNumber(target.IntVal))
	}
	name := portName(in.servingPorts(), byName(port.Name))
	if name == "" {
		name = portName(in.servingPorts(), byNumber(port.Port))
	}
	if name == "" && only && port.Protocol == corev1.ProtocolTCP {
		name = in.servingPortName()
	}
	return name
}

func portName(ports []corev1.ContainerPort, matches func(corev1.ContainerPort) bool) string {
	if i := slices.IndexFunc(ports, matches); i >= 0 {
		return ports[i].Name
	}
	return ""
}

// countPorts returns the number of ports with a name and protocol. A Service that targets such a name uses the first.
func (in *input) countPorts(name string, p corev1.Protocol) int {
	n := 0
	for _, port := range in.reachablePorts() {
		if port.Name == name && protocol(port.Protocol) == p {
			n++
		}
	}
	return n
}

// reachablePorts returns the ports that a Service can target, the serving container's first.
func (in *input) reachablePorts() []corev1.ContainerPort {
	pod := in.template.Spec
	if in.servingIndex > 0 {
		serving := pod.Containers[in.servingIndex]
		pod.Containers = append([]corev1.Container{serving}, slices.Delete(slices.Clone(pod.Containers), in.servingIndex, in.servingIndex+1)...)
	}
	return portsOf(pod)
}

// servingPorts returns the derived ports of the serving container.
func (in *input) servingPorts() []corev1.ContainerPort {
	if in.servingIndex < 0 {
		return nil
	}
	return in.template.Spec.Containers[in.servingIndex].Ports
}

func (in *input) servingPortName() string {
	if in.servingIndex < 0 {
		return ""
	}
	if i := firstTCPPort(in.template.Spec.Containers[in.servingIndex]); i >= 0 {
		return in.servingPorts()[i].Name
	}
	return ""
}
