package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/timing"
)

var (
	drainPath      = specPath.Child("drain")
	drainImagePath = field.NewPath("metadata", "annotations").Key(v1alpha1.AnnotationDrainImage)
)

// drainRules are the rules of spec.drain.
var drainRules = []check{
	{
		Rule: Rule{
			Number:  "13",
			Rule:    "`drain.sidecar` and `timing.exitSeconds` are set only with `drain.mode: Sidecar`; `exitSeconds` is 1 to 86,400",
			Why:     "without a drain sidecar they have no effect",
			Instead: "`mode: Sidecar`, or leave them out",
		},
		find: checkDrainFields,
	},
	{
		Rule: Rule{
			Number:  "13",
			Rule:    "with `drain.mode: Sidecar`, the app has derivation version 2 or later, the operator has an image for the sidecar, no container is named `graceful-drain`, and the pods run on Linux",
			Why:     "the sidecar could not be added",
			Instead: "leave the annotation `apps.gracefulapp.dev/derivation` out; set the operator's flag `--drain-proxy-image`; another name; mode Hook on Windows",
		},
		find: ofSidecar(checkDrainPossible),
	},
	{
		Rule: Rule{
			Number:  "13",
			Rule:    "with `drain.mode: Sidecar`, each port that the Service targets is a TCP port of a main container without `hostPort`, and serves HTTP without TLS; gRPC needs `appProtocol: kubernetes.io/h2c` or `grpc`; the Service is not headless, and the pod has no hostNetwork",
			Why:     "the sidecar could not stand before the port, and its requests would bypass the drain",
			Instead: "mode Hook for such an app",
		},
		find: ofSidecar(checkDrainedPorts),
	},
	{
		Rule: Rule{
			Number:  "13",
			Rule:    "with `drain.mode: Sidecar`, a container that the Service targets has no own preStop hook",
			Why:     "its hook is the sidecar's",
			Instead: "leave the hook out, or mode Hook",
		},
		find: ofSidecar(checkNoOwnHook),
	},
	{
		Rule: Rule{
			Number:  "13",
			Rule:    "with `drain.mode: Sidecar`, the pods have no sidecar of a service mesh",
			Why:     "the mesh's proxy gets SIGTERM before the drain has ended, and requests reach the app without the drain sidecar",
			Instead: "the label or annotation that the message names, or mode Hook",
		},
		find: ofSidecar(checkNoMesh),
	},
	{
		Rule: Rule{
			Number:  "13",
			Rule:    "`drain.mode` becomes Sidecar only after an adoption has ended and the Service targets the port's name",
			Why:     "a Service that targets a number sends requests past the sidecar",
			Instead: "mode Hook until the rollout after the adoption has finished",
		},
		find: ofSidecar(checkDrainAfterAdoption),
	},
	{
		Rule: Rule{
			Number:  "13",
			Rule:    "with `drain.mode: Sidecar`, t3 >= t2 + 11 + t1 + exitSeconds + 4, and 5 more for each other native sidecar",
			Why:     "SIGKILL would end the sidecar while it finishes requests",
			Instead: "at least that number, or leave t3 out",
		},
		find: ofSidecar(checkDrainGracePeriod),
	},
}

// ofSidecar returns a check that runs only for apps with a drain sidecar.
func ofSidecar(find func(*input) field.ErrorList) func(*input) field.ErrorList {
	return func(in *input) field.ErrorList {
		if !in.drainsBySidecar() {
			return nil
		}
		return find(in)
	}
}

func checkDrainFields(in *input) field.ErrorList {
	var errs field.ErrorList
	exit, path := in.spec().Timing.ExitSeconds, timingPath.Child("exitSeconds")
	if exit != nil && (*exit < 1 || *exit > timing.MaxInputSeconds) {
		errs = append(errs, invalid(path, *exit, "exitSeconds %d is not between 1 and %d (one day)", *exit, timing.MaxInputSeconds)...)
	}
	if in.drainsBySidecar() {
		return errs
	}
	const why = "it has an effect only with spec.drain.mode Sidecar; set the mode, or leave it out"
	if exit != nil {
		errs = append(errs, field.Forbidden(path, why))
	}
	if d := in.spec().Drain; d != nil && d.Sidecar != nil {
		errs = append(errs, field.Forbidden(drainPath.Child("sidecar"), why))
	}
	return errs
}

func checkDrainPossible(in *input) field.ErrorList {
	var errs field.ErrorList
	if in.version < 2 {
		errs = append(errs, field.Forbidden(drainPath.Child("mode"), fmt.Sprintf(
			"the drain sidecar needs derivation version 2, and the annotation %s asks for version %d; leave it out", derivationPath, in.version)))
	}
	if _, asked := in.requestedDrainImage(); !asked && in.drainImage() == "" {
		errs = append(errs, field.Forbidden(drainPath.Child("mode"),
			"the operator was started without an image for the drain sidecar; set its flag --drain-proxy-image, or use mode Hook"))
	}
	if image, ok := in.requestedDrainImage(); ok && strings.TrimSpace(image) == "" {
		errs = append(errs, field.Required(drainImagePath, "it is the image of the drain sidecar; name one, or leave the annotation out"))
	}
	pod := in.spec().Template.Spec
	if windows := string(corev1.Windows); pod.OS != nil && pod.OS.Name == corev1.Windows || pod.NodeSelector[corev1.LabelOSStable] == windows {
		errs = append(errs, field.Forbidden(drainPath.Child("mode"), "the drain sidecar runs on Linux only, and the template asks for Windows; use drain mode Hook"))
	}
	for _, c := range writtenContainers(pod) {
		if c.container.Name == drainContainer {
			errs = append(errs, invalid(c.path.Child("name"), c.container.Name, "it is the name of the drain sidecar; use another name")...)
		}
	}
	return errs
}

func checkDrainedPorts(in *input) field.ErrorList {
	var errs field.ErrorList
	if in.spec().Template.Spec.HostNetwork {
		errs = append(errs, field.Forbidden(podPath.Child("hostNetwork"),
			"with the drain sidecar: two pods of one node would need the sidecar's ports; leave hostNetwork out, or use drain mode Hook"))
	}
	switch {
	case in.service().ClusterIP == corev1.ClusterIPNone:
		errs = append(errs, field.Forbidden(servicePath.Child("clusterIP"),
			"with the drain sidecar: clients of a headless Service connect to the number of the app's port and bypass the sidecar; leave it out, or use drain mode Hook"))
	case in.staysHeadless():
		s := in.running.Service
		errs = append(errs, field.Forbidden(servicePath.Child("clusterIP"), fmt.Sprintf(
			"with the drain sidecar: clients of a headless Service connect to the number of the app's port and bypass the sidecar, and Service %s stays headless; "+
				"delete it first: %s && %s; or use drain mode Hook", s.Name, AllowDeletion(s.Namespace, s.Name), DeleteService(s.Namespace, s.Name))))
	}
	for i, p := range in.ports {
		path := servicePath.Child("ports").Index(i)
		if p.Protocol != corev1.ProtocolTCP {
			errs = append(errs, invalid(path.Child("protocol"), p.Protocol, "the drain sidecar forwards HTTP only; use drain mode Hook")...)
		}
		if protocol := ptr.Deref(p.AppProtocol, "http"); !isForwarded(protocol) {
			errs = append(errs, invalid(path.Child("appProtocol"), protocol,
				"the drain sidecar forwards HTTP without TLS: http, kubernetes.io/h2c, kubernetes.io/ws and grpc; use drain mode Hook")...)
		}
	}
	for _, s := range in.servers {
		errs = append(errs, in.checkDrainedServer(s)...)
	}
	return errs
}

func isForwarded(appProtocol string) bool {
	return appProtocol == "" || appProtocol == "http" || appProtocol == "kubernetes.io/ws" || slices.Contains(http2Protocols, appProtocol)
}

func (in *input) checkDrainedServer(s server) field.ErrorList {
	var errs field.ErrorList
	for i, p := range s.derived.Ports {
		path := s.path.Child("ports").Index(i)
		switch {
		case !in.isTarget(p):
		case s.native:
			errs = append(errs, field.Forbidden(path, "the Service targets a native sidecar, before which the drain sidecar cannot stand; use drain mode Hook"))
		case p.HostPort != 0:
			errs = append(errs, field.Forbidden(path.Child("hostPort"), "requests on it would bypass the drain sidecar; leave it out, or use drain mode Hook"))
		}
	}
	if s.targeted && s.speaksGRPC() && !slices.ContainsFunc(s.derived.Ports, func(p corev1.ContainerPort) bool { return in.isTarget(p) && in.isHTTP2(p.Name) }) {
		errs = append(errs, field.Required(servicePath.Child("ports"), fmt.Sprintf(
			"container %q has a gRPC probe, and the drain sidecar forwards HTTP/2 only to a Service port with appProtocol kubernetes.io/h2c or grpc; set it", s.written.Name)))
	}
	for _, p := range namedProbes(*s.written) {
		if p.HTTPGet != nil && p.HTTPGet.Scheme == corev1.URISchemeHTTPS && in.probesTarget(s, p.HTTPGet.Port) {
			errs = append(errs, invalid(s.path.Child(p.name, "httpGet", "scheme"), p.HTTPGet.Scheme,
				"the drain sidecar forwards HTTP without TLS, and the port serves TLS; use drain mode Hook")...)
		}
	}
	return errs
}

// probesTarget reports whether a port of a probe is one that the Service targets.
func (in *input) probesTarget(s server, port intstr.IntOrString) bool {
	return slices.ContainsFunc(s.derived.Ports, func(p corev1.ContainerPort) bool {
		return in.isTarget(p) && (port.StrVal == p.Name && port.Type == intstr.String || port.Type == intstr.Int && port.IntVal == p.ContainerPort)
	})
}

func checkNoOwnHook(in *input) field.ErrorList {
	var errs field.ErrorList
	for _, s := range in.servers {
		if s.ownHook() != nil && !s.native { // checkServingSleep refuses a sleep
			errs = append(errs, field.Forbidden(s.path.Child("lifecycle", "preStop"),
				"the drain sidecar needs this hook to keep SIGTERM from the container; leave it out, or use drain mode Hook"))
		}
	}
	return errs
}

func checkDrainAfterAdoption(in *input) field.ErrorList {
	for _, p := range in.ports {
		if target := in.targetPort(p); target.Type == intstr.Int {
			return field.ErrorList{field.Forbidden(drainPath.Child("mode"), fmt.Sprintf(
				"Service %s targets the port number %s until the rollout after the adoption has finished, so its requests would bypass the drain sidecar; "+
					"use mode Hook until then", in.app.Name, target.String()))}
		}
	}
	return nil
}

func checkDrainGracePeriod(in *input) field.ErrorList {
	given, least := in.spec().Timing.TerminationGracePeriodSeconds, in.timing.LeastGracePeriodWithSidecar(nativeSidecars(in.spec().Template.Spec))
	if given == nil || *given >= least {
		return nil
	}
	return invalid(timingPath.Child("terminationGracePeriodSeconds"), *given,
		"terminationGracePeriodSeconds %d is less than %d: with a drain sidecar, the hook takes up to preStopSeconds %d + %d s for late connections + "+
			"shutdownSeconds %d, the app up to exitSeconds %d, and the sidecars up to %d s; set it to at least %d or leave it out",
		*given, least, in.timing.PreStopSeconds, timing.AcceptSeconds+timing.RetireSeconds, in.timing.ShutdownSeconds, in.timing.ExitSeconds,
		least-in.timing.StopSeconds, least)
}
