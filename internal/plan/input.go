package plan

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/timing"
)

// defaultContainerAnnotation names the serving container, as it names the container that kubectl logs and exec mean.
const defaultContainerAnnotation = "kubectl.kubernetes.io/default-container"

var (
	specPath      = field.NewPath("spec")
	timingPath    = specPath.Child("timing")
	templatePath  = specPath.Child("template")
	podPath       = templatePath.Child("spec")
	containerPath = podPath.Child("containers")
	servicePath   = specPath.Child("service", "spec")
)

// input is what every check and every builder reads: the app and what follows from it, each computed once.
type input struct {
	app     *v1alpha1.GracefulApp
	running Running
	// version of the derivation.
	version int32
	timing  timing.Timing
	// serving is the index of the serving container, -1 if there is none.
	serving int
	// probes of the serving container as they will be.
	probes probes
	// template is the pod template as it will be.
	template *corev1.PodTemplateSpec
	// ports of the Service as they will be; one that targets no container port has the empty target "".
	ports []corev1.ServicePort
}

func newInput(app *v1alpha1.GracefulApp, running Running) *input {
	return newInputOf(chooseDerivation(app, running), app, running)
}

func newInputOf(version int32, app *v1alpha1.GracefulApp, running Running) *input {
	in := &input{
		app:     app,
		running: running,
		version: version,
		timing:  timing.Derive(app.Spec.Timing, nativeSidecars(app.Spec.Template.Spec)),
		serving: servingContainer(&app.Spec.Template),
	}
	in.template = deriveTemplate(in)
	if in.serving >= 0 {
		in.probes = probesOf(in.template.Spec.Containers[in.serving])
	}
	in.ports = servicePorts(in)
	return in
}

// servingContainer is the container that the annotation names, else the first.
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

// servingContainer is the serving container as the user wrote it, nil if there is none.
func (in *input) servingContainer() *corev1.Container {
	if in.serving < 0 {
		return nil
	}
	return &in.spec().Template.Spec.Containers[in.serving]
}

func (in *input) servingPath() *field.Path { return containerPath.Index(max(in.serving, 0)) }
