package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxSpecBytes leaves room within etcd's limit of 1.5 MiB for the derived Deployment, its managed fields, and the old
// and new object in one admission request.
const maxSpecBytes = 256 << 10

func checkServingContainer(in *input) field.ErrorList {
	if named, ok := in.spec().Template.Annotations[defaultContainerAnnotation]; ok && in.servingIndex < 0 {
		return field.ErrorList{field.NotFound(templatePath.Child("metadata", "annotations").Key(defaultContainerAnnotation), named)}
	}
	if in.servingIndex < 0 {
		return field.ErrorList{field.Required(containerPath, "a container that serves the requests")}
	}
	return nil
}

func checkServingPort(_ *input, s server) field.ErrorList {
	if firstTCPPort(*s.written) >= 0 {
		return nil
	}
	return field.ErrorList{field.Required(s.path.Child("ports"),
		"the TCP port on which the container serves, for the Service and the probes: - {name: http, containerPort: 8080}")}
}

func checkServingPortName(in *input, s server) field.ErrorList {
	i := firstTCPPort(*s.written)
	if i < 0 || s.written.Ports[i].Name != "" || in.countPorts(defaultPortName, corev1.ProtocolTCP) <= 1 {
		return nil
	}
	return field.ErrorList{field.Required(s.path.Child("ports").Index(i).Child("name"),
		"a name for the port on which the container serves, because another port has the default name http")}
}

// checkHandlerPorts looks for the port names in the derived template, because the derivation names an unnamed serving port.
func checkHandlerPorts(in *input) field.ErrorList {
	var errs field.ErrorList
	for i, c := range in.template.Spec.Containers {
		for _, h := range handlersOf(c, containerPath.Index(i)) {
			errs = append(errs, checkHandlerPort(h, c)...)
		}
	}
	for i, c := range in.template.Spec.InitContainers {
		for _, h := range handlersOf(c, initContainerPath.Index(i)) {
			errs = append(errs, checkHandlerPort(h, c)...)
		}
	}
	return errs
}

func checkHandlerPort(h handler, c corev1.Container) field.ErrorList {
	if h.port == nil || h.port.Type != intstr.String || h.port.StrVal == "" {
		return nil
	}
	known := []string{}
	for _, p := range c.Ports {
		if p.Name == h.port.StrVal {
			return nil
		}
		if p.Name != "" {
			known = append(known, p.Name)
		}
	}
	return invalid(h.path.Child("port"), h.port.StrVal, "container %q has no port of this name; its named ports: %s",
		c.Name, listOrNone(known))
}

func listOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func checkOwnedPodFields(in *input) field.ErrorList {
	pod := in.spec().Template.Spec
	var errs field.ErrorList
	owned := func(set bool, name, pointer string) {
		if set {
			errs = append(errs, field.Forbidden(podPath.Child(name), pointer))
		}
	}
	owned(pod.TerminationGracePeriodSeconds != nil, "terminationGracePeriodSeconds",
		"it is derived; set spec.timing.terminationGracePeriodSeconds (t3) instead, or leave both out")
	owned(pod.RestartPolicy != "" && pod.RestartPolicy != corev1.RestartPolicyAlways, "restartPolicy",
		"a server is always restarted; leave it out")
	owned(pod.ActiveDeadlineSeconds != nil, "activeDeadlineSeconds",
		"it would end a serving pod in the middle of its requests; leave it out")
	owned(len(pod.SchedulingGates) > 0, "schedulingGates",
		"no pod of a Deployment would be scheduled; leave it out")
	owned(pod.NodeName != "", "nodeName",
		"it bypasses the scheduler and puts every pod on one node; use nodeSelector or affinity")
	return errs
}

func checkOwnedContainerFields(in *input) field.ErrorList {
	pod := in.spec().Template.Spec
	var errs field.ErrorList
	for i, c := range pod.Containers {
		path := containerPath.Index(i)
		errs = append(errs, checkHandlers(c, path)...)
		if !slices.ContainsFunc(in.servers, func(s server) bool { return s.serving && i == in.servingIndex }) {
			errs = append(errs, in.checkFurtherSleep(c, path)...)
		}
	}
	for i, c := range pod.InitContainers {
		errs = append(errs, checkHandlers(c, initContainerPath.Index(i))...)
	}
	return errs
}

func checkHandlers(c corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, h := range handlersOf(c, path) {
		if h.host != "" {
			errs = append(errs, field.Forbidden(h.path.Child("host"),
				"probes and hooks ask the pod itself, and Pod Security (baseline) forbids any other host; leave it out"))
		}
	}
	if hook := preStopOf(c); hook != nil && hook.TCPSocket != nil {
		errs = append(errs, field.Forbidden(path.Child("lifecycle", "preStop", "tcpSocket"),
			"Kubernetes does not run this kind of hook; use httpGet or exec, or leave the hook out"))
	}
	return errs
}

// checkFurtherSleep: a proxy may stay longer than the app does, but not shorter, and not until SIGKILL.
func (in *input) checkFurtherSleep(c corev1.Container, path *field.Path) field.ErrorList {
	hook := preStopOf(c)
	if hook == nil || hook.Sleep == nil {
		return nil
	}
	t2, t3 := int64(in.timing.PreStopSeconds), int64(in.timing.TerminationGracePeriodSeconds)
	if n := hook.Sleep.Seconds; n < t2 || n >= t3 {
		return invalid(path.Child("lifecycle", "preStop", "sleep", "seconds"), n, "a further container must sleep for at least preStopSeconds (t2), %d s, "+
			"because it would end before the app, and for less than terminationGracePeriodSeconds (t3), %d s, because SIGKILL would end it; set a value "+
			"between them, or leave the hook out", t2, t3)
	}
	return nil
}

// checkServingSleep rejects a preStop.sleep of the serving container, because it is derived: t2.
func checkServingSleep(_ *input, s server) field.ErrorList {
	if hook := preStopOf(*s.written); hook == nil || hook.Sleep == nil {
		return nil
	}
	return field.ErrorList{field.Forbidden(s.path.Child("lifecycle", "preStop", "sleep"),
		"it is derived; set spec.timing.preStopSeconds (t2) instead, or leave both out")}
}

// checkProbeGrace: a server's probes get their grace period from the timing.
func checkProbeGrace(_ *input, s server) field.ErrorList {
	var errs field.ErrorList
	for _, p := range namedProbes(*s.written) {
		if p.TerminationGracePeriodSeconds != nil {
			errs = append(errs, field.Forbidden(s.path.Child(p.name, "terminationGracePeriodSeconds"),
				"it is derived from spec.timing; leave it out"))
		}
	}
	return errs
}

// preStopOf returns the container's hook, nil if it has none; an empty one counts as left out.
func preStopOf(c corev1.Container) *corev1.LifecycleHandler {
	if c.Lifecycle == nil || !isHook(c.Lifecycle.PreStop) {
		return nil
	}
	return c.Lifecycle.PreStop
}

func isHook(h *corev1.LifecycleHandler) bool {
	return h != nil && (h.Exec != nil || h.HTTPGet != nil || h.Sleep != nil || h.TCPSocket != nil)
}

func checkEnvironment(in *input, s server) field.ErrorList {
	return checkVariables(s, timeVariables(in.appTiming()))
}

func checkRequestVariable(in *input, s server) field.ErrorList {
	return checkVariables(s, []corev1.EnvVar{requestVariable(in.timing)})
}

// checkVariables looks for variables that the user sets to another value than the derivation does.
func checkVariables(s server, wanted []corev1.EnvVar) field.ErrorList {
	var errs field.ErrorList
	for _, want := range wanted {
		for i, e := range s.written.Env {
			if e.Name != want.Name || (e.Value == want.Value && e.ValueFrom == nil) {
				continue
			}
			errs = append(errs, field.Invalid(s.path.Child("env").Index(i), e.Name+"="+e.Value, fmt.Sprintf(
				"spec.timing sets %s=%s, and the app must use the same number; change spec.timing, or leave the variable out",
				want.Name, want.Value)))
		}
	}
	return errs
}

func checkName(in *input) field.ErrorList {
	if len(validation.IsDNS1035Label(in.app.Name)) == 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), in.app.Name,
		"the name must be a DNS-1035 label, because the Service has the same name: at most 63 characters, lower-case "+
			"letters, digits and '-', beginning with a letter and ending with a letter or digit")}
}

func checkSize(in *input) field.ErrorList {
	data, err := json.Marshal(in.spec())
	if err != nil {
		return field.ErrorList{field.InternalError(specPath, err)}
	}
	if len(data) <= maxSpecBytes {
		return nil
	}
	return field.ErrorList{field.Invalid(specPath, field.OmitValueType{}, fmt.Sprintf(
		"%d bytes of JSON are more than %d; move large values into a ConfigMap", len(data), maxSpecBytes))}
}

// checkSelector: a Deployment that does not select its own pods is rejected by Kubernetes.
func checkSelector(in *input) field.ErrorList {
	labels := in.spec().Template.Labels
	var errs field.ErrorList
	for key, want := range in.selectorLabels() {
		got, ok := labels[key]
		path := templatePath.Child("metadata", "labels").Key(key)
		switch {
		case ok && got != want:
			errs = append(errs, invalid(path, got, "the selector requires %q, otherwise the Service does not find the pods", want)...)
		case !ok && in.spec().Selector != nil:
			errs = append(errs, field.Required(path, fmt.Sprintf("the selector requires %q, otherwise the Service does not find the pods", want)))
		}
	}
	return sorted(errs)
}

// sorted makes the message independent of the order of a map.
func sorted(errs field.ErrorList) field.ErrorList {
	slices.SortFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}
