package plan

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

func checkServiceTargets(in *input) field.ErrorList {
	var errs field.ErrorList
	for i, port := range in.ports {
		if name := port.TargetPort.StrVal; name != "" && in.countPorts(name, port.Protocol) > 1 {
			errs = append(errs, field.Duplicate(containerPath, fmt.Sprintf("port name %s (%s)", name, port.Protocol)))
		}
		errs = append(errs, in.checkTarget(i)...)
	}
	return errs
}

// checkTarget checks the target of one port that the user wrote. checkServingPort checks the default port.
func (in *input) checkTarget(i int) field.ErrorList {
	given := in.spec().Service
	if given == nil || len(given.Spec.Ports) == 0 || in.ports[i].TargetPort.StrVal != "" {
		return nil
	}
	port := given.Spec.Ports[i]
	return field.ErrorList{field.Invalid(servicePath.Child("ports").Index(i).Child("targetPort"), targetWords(port),
		fmt.Sprintf("no named container port fits (with protocol %s); name the port in the template and write targetPort: NAME; "+
			"the template's named ports: %s", in.ports[i].Protocol, listOrNone(in.portNames())))}
}

func targetWords(port corev1.ServicePort) any {
	if port.TargetPort == (intstr.IntOrString{}) {
		return field.OmitValueType{}
	}
	return port.TargetPort.String()
}

func (in *input) portNames() []string {
	var names []string
	for _, p := range in.reachablePorts() {
		if p.Name != "" {
			names = append(names, p.Name)
		}
	}
	return names
}

func checkOwnedServiceFields(in *input) field.ErrorList {
	given := in.spec().Service
	if given == nil {
		return nil
	}
	var errs field.ErrorList
	owned := func(set bool, name, pointer string) {
		if set {
			errs = append(errs, field.Forbidden(servicePath.Child(name), pointer))
		}
	}
	owned(len(given.Spec.Selector) > 0, "selector", "it follows spec.selector; leave it out")
	owned(given.Spec.PublishNotReadyAddresses, "publishNotReadyAddresses",
		"it would send requests to pods that are not ready; leave it out")
	owned(len(given.Spec.ExternalIPs) > 0, "externalIPs",
		"with it a user could claim an address of another user (CVE-2020-8554); use type LoadBalancer or NodePort")
	owned(given.Spec.Type == corev1.ServiceTypeExternalName, "type", "an ExternalName Service has no pods; use another type")
	owned(given.Spec.ExternalName != "", "externalName", "a Service with pods has none; leave it out")
	return errs
}

// CheckNodePorts checks the node ports against the cluster's range: the API server's dry run allocates no port and so refuses none. The range
// is a flag of the API server that no API shows, hence an argument.
func CheckNodePorts(app *v1alpha1.GracefulApp, allowed utilnet.PortRange) field.ErrorList {
	given := app.Spec.Service
	if given == nil {
		return nil
	}
	var errs field.ErrorList
	for i, port := range given.Spec.Ports {
		if port.NodePort != 0 && !allowed.Contains(int(port.NodePort)) {
			errs = append(errs, invalid(servicePath.Child("ports").Index(i).Child("nodePort"), port.NodePort,
				"the cluster's node ports are %s; choose one of them or leave it out (set the operator's flag "+
					"--service-node-port-range, which must be the API server's)", allowed.String())...)
		}
	}
	return errs
}

// CheckChange checks an update of the spec for changes that are not allowed.
func CheckChange(old, updated *v1alpha1.GracefulApp, running Running) field.ErrorList {
	before, after := newInput(old, running), newInput(updated, running)
	errs := after.checkPortNames(before)
	errs = append(errs, after.checkHandOver()...)
	return append(errs, after.checkPausedService(before)...)
}

// checkPortNames: the name of a port that a Service targets cannot change. Old pods have no port of the new name, so the Service would lose
// their endpoints at once. A Service that targets numbers is not affected.
func (in *input) checkPortNames(before *input) field.ErrorList {
	names := map[string]string{}
	for _, p := range before.ports {
		if before.targetPort(p) == p.TargetPort {
			names[portKey(p)] = p.TargetPort.StrVal
		}
	}
	var errs field.ErrorList
	for i, p := range in.ports {
		if was := names[portKey(p)]; was != "" && p.TargetPort.StrVal != "" && was != p.TargetPort.StrVal {
			errs = append(errs, invalid(servicePath.Child("ports").Index(i).Child("targetPort"), p.TargetPort.StrVal,
				"port %d targets the container port %q, and the name cannot change: the running pods have no port %q, so the "+
					"Service would lose all of them at once; keep the name (its number may change), or add a second port",
				p.Port, was, p.TargetPort.StrVal)...)
		}
	}
	return errs
}

// checkHandOver: until the rollout after an adoption has finished, the Service targets a number, which cannot change in the same rollout.
func (in *input) checkHandOver() field.ErrorList {
	s := in.running.Service
	if s == nil || in.running.Deployment == nil || in.adopts(s) {
		return nil
	}
	var errs field.ErrorList
	for _, p := range in.ports {
		live := in.running.servicePort(p)
		if live == nil || live.TargetPort.Type != intstr.Int {
			continue
		}
		old, updated := in.running.targetNumber(*live), in.portNumber(p)
		if updated != 0 && updated != old && !in.running.everyPodHas(p.TargetPort.StrVal, p.Protocol, old) {
			errs = append(errs, invalid(in.portsPath(p), updated,
				"Service %s sends requests to container port %d until the rollout after the adoption has finished; keep %d until then",
				s.Name, old, old)...)
		}
	}
	return errs
}

// checkPausedService: while an adoption is paused, nothing changes for the clients of the Service.
func (in *input) checkPausedService(before *input) field.ErrorList {
	s := in.running.Service
	if s == nil || in.adopts(s) || !in.paused() || !Adopts(in.app) && !Adopts(before.app) {
		return nil
	}
	var changes []string
	for _, c := range in.serviceChanges(before.serviceSpec()) {
		changes = append(changes, c.String())
	}
	if len(changes) == 0 {
		return nil
	}
	return field.ErrorList{field.Forbidden(specPath.Child("service"), fmt.Sprintf(
		"it would change Service %s while the adoption is paused: %s; set spec.paused to false first", s.Name, strings.Join(changes, ", ")))}
}

func portKey(p corev1.ServicePort) string { return fmt.Sprintf("%s/%d", p.Protocol, p.Port) }
