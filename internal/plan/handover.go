package plan

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// targetPort returns the Service's target for a derived port, which targets the name of a container port.
//
// An adopted Service may target a number, or the name of a port that the template no longer has. The running pods have no port of the new
// name, so a Service that targets the name would lose its endpoints at once. So the Service targets the number, which old and new pods share
// (Adoption and Change check it), until the rollout has given every pod the named port. If the app adopts only the Service, the pods belong
// to another controller, and the Service targets the number until the app's own pods are available.
func (in *input) targetPort(p corev1.ServicePort) intstr.IntOrString {
	live := in.running.servicePort(p)
	if live == nil || live.TargetPort == p.TargetPort {
		return p.TargetPort
	}
	number := in.running.targetNumber(*live)
	switch {
	case number == 0: // the live port reaches no pod
		return p.TargetPort
	case in.adopts(in.running.Service):
		return intstr.FromInt32(number)
	case in.handsOver(p, *live):
		return live.TargetPort
	}
	return p.TargetPort
}

// handsOver reports whether the app's own Service still targets the number that old and new pods share. Another number, or a name, was
// written by another client.
func (in *input) handsOver(p, live corev1.ServicePort) bool {
	number := in.portNumber(p)
	if in.running.liveDrainContainer() != nil {
		return false // the handover had ended before the sidecar was added, and requests to the number would bypass it
	}
	return in.running.Deployment != nil && live.TargetPort == intstr.FromInt32(number) && !in.running.everyPodHas(p.TargetPort.StrVal, p.Protocol, number)
}

// portNumber returns the number of the container port that a derived Service port targets, or 0.
func (in *input) portNumber(p corev1.ServicePort) int32 {
	return numberOf(in.reachablePorts(), p.TargetPort.StrVal, p.Protocol)
}
