package plan

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/timing"
)

// defaultContainerAnnotation names the serving container. kubectl logs and kubectl exec use the same annotation.
const defaultContainerAnnotation = "kubectl.kubernetes.io/default-container"

var (
	specPath          = field.NewPath("spec")
	timingPath        = specPath.Child("timing")
	templatePath      = specPath.Child("template")
	podPath           = templatePath.Child("spec")
	containerPath     = podPath.Child("containers")
	initContainerPath = podPath.Child("initContainers")
	servicePath       = specPath.Child("service", "spec")
)

// input is the argument of every check and every builder: the app and the values that follow from it, each computed once.
type input struct {
	app     *v1alpha1.GracefulApp
	running Running
	// version is the derivation version.
	version int32
	timing  timing.Timing
	// servingIndex is the index of the serving container, or -1.
	servingIndex int
	// template is the pod template as it will be.
	template *corev1.PodTemplateSpec
	// ports of the Service as they will be; one that targets no container port has the empty target "".
	ports []corev1.ServicePort
	// servers are the containers that get requests, in the order of the template.
	servers []server
}

func newInput(app *v1alpha1.GracefulApp, running Running) *input {
	return newInputOf(chooseDerivation(app, running), app, running)
}

func newInputOf(version int32, app *v1alpha1.GracefulApp, running Running) *input {
	in := &input{
		app:          app,
		running:      running,
		version:      version,
		timing:       deriveTiming(version, &app.Spec),
		servingIndex: servingContainer(&app.Spec.Template),
	}
	in.template = withNamedPort(in)
	in.ports = servicePorts(in)
	in.servers = in.findServers()
	deriveTemplate(in)
	return in
}

// deriveTiming derives the timing. In version 1, the time for which the liveness probe tolerates failures has no upper bound.
func deriveTiming(version int32, spec *v1alpha1.GracefulAppSpec) timing.Timing {
	sidecars := nativeSidecars(spec.Template.Spec)
	t := timing.Derive(spec.Timing, sidecars)
	if drainsBySidecar(spec) {
		return t.WithSidecar(spec.Timing, sidecars)
	}
	if version < 2 {
		return t.WithLivenessTolerance(t.RequestSeconds)
	}
	return t
}

// servingContainer returns the index of the serving container: the one that the annotation names, else the first.
func servingContainer(template *corev1.PodTemplateSpec) int {
	name, named := template.Annotations[defaultContainerAnnotation]
	for i, c := range template.Spec.Containers {
		if !named || c.Name == name {
			return i
		}
	}
	return -1
}

func nativeSidecars(pod corev1.PodSpec) int {
	n := 0
	for _, c := range pod.InitContainers {
		if isNativeSidecar(c) {
			n++
		}
	}
	return n
}

func isNativeSidecar(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func (in *input) spec() *v1alpha1.GracefulAppSpec { return &in.app.Spec }

func (in *input) replicas() int32 { return Replicas(in.app, in.running) }

// portsPath returns the path of the ports of the container that a Service port targets, or of the serving container if the port targets none.
func (in *input) portsPath(target corev1.ServicePort) *field.Path {
	for _, s := range in.longRunningContainers() {
		if numberOf(s.derived.Ports, target.TargetPort.StrVal, target.Protocol) != 0 {
			return s.path.Child("ports")
		}
	}
	return containerPath.Index(max(in.servingIndex, 0)).Child("ports")
}
