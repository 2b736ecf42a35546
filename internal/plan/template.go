package plan

import (
	"cmp"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/internal/timing"
)

// Environment variables from which the app reads the declared times, so that the declared t1 is the app's t1.
const (
	envShutdown    = "GRACEFUL_SHUTDOWN_SEC"
	envPreStop     = "GRACEFUL_PRESTOP_SEC"
	envTermination = "GRACEFUL_TERMINATION_SEC"
	// envRequest is added from derivation version 2 on.
	envRequest = "GRACEFUL_REQUEST_SEC"
)

// defaultPortName is the name that the derived template gives to an unnamed serving port.
const defaultPortName = "http"

// withNamedPort is the user's pod template with a name for the main container's first TCP port, so that the Service can target it.
func withNamedPort(in *input) *corev1.PodTemplateSpec {
	template := in.spec().Template.DeepCopy()
	template.CreationTimestamp = metav1.Time{} // an exported manifest may have it
	if in.serving < 0 {
		return template
	}
	ports := template.Spec.Containers[in.serving].Ports
	if i := servingPort(template.Spec.Containers[in.serving]); i >= 0 && ports[i].Name == "" {
		ports[i].Name = defaultPortName
	}
	return template
}

// deriveTemplate completes the template. It must accept any template, because the checks read its result before they refuse one.
func deriveTemplate(in *input) {
	template := in.template
	template.Labels = PodLabels(in.app)
	if written, ok := template.Annotations[RestartedAt]; ok {
		template.Annotations[RestartedAt] = restartedAt(written, in.running)
	}
	grace := int64(in.timing.TerminationGracePeriodSeconds)
	template.Spec.TerminationGracePeriodSeconds = &grace
	defaultAtomicFields(&template.Spec)
	spread(in)
	for _, s := range in.servers {
		deriveServer(s, in)
	}
	for i := range template.Spec.Containers {
		c := &template.Spec.Containers[i]
		c.Lifecycle = withPreStop(c.Lifecycle, in.timing.PreStopSeconds)
	}
}

func deriveServer(s server, in *input) {
	c := s.derived
	p := deriveProbes(probesOf(*c), in.timing, openPort(in.probedPort(s)), s.native)
	c.StartupProbe, c.ReadinessProbe, c.LivenessProbe = p.startup, p.readiness, p.liveness
	added := []corev1.EnvVar{}
	for _, e := range in.environment() {
		if !hasEnv(c.Env, e.Name) {
			added = append(added, e)
		}
	}
	// First, because $(GRACEFUL_SHUTDOWN_SEC) in another variable expands only if that variable comes later in the list.
	c.Env = append(added, c.Env...)
	c.Lifecycle = withPreStop(c.Lifecycle, in.timing.PreStopSeconds)
}

// servingPort is the index of the container's first TCP port, or -1.
func servingPort(c corev1.Container) int {
	return slices.IndexFunc(c.Ports, func(p corev1.ContainerPort) bool { return protocol(p.Protocol) == corev1.ProtocolTCP })
}

// protocol is TCP by default, as in the API server.
func protocol(p corev1.Protocol) corev1.Protocol { return cmp.Or(p, corev1.ProtocolTCP) }

// environment returns the variables that the operator adds, in their order.
func (in *input) environment() []corev1.EnvVar {
	all := times(in.timing)
	if in.version >= 2 {
		all = append(all, requestTime(in.timing))
	}
	return all
}

func times(t timing.Timing) []corev1.EnvVar {
	return []corev1.EnvVar{
		seconds(envShutdown, t.ShutdownSeconds),
		seconds(envPreStop, t.PreStopSeconds),
		seconds(envTermination, t.TerminationGracePeriodSeconds),
	}
}

func requestTime(t timing.Timing) corev1.EnvVar { return seconds(envRequest, t.RequestSeconds) }

func seconds(name string, n int32) corev1.EnvVar {
	return corev1.EnvVar{Name: name, Value: strconv.Itoa(int(n))}
}

func hasEnv(env []corev1.EnvVar, name string) bool {
	for _, e := range env {
		if e.Name == name {
			return true
		}
	}
	return false
}

// withPreStop gives a container that has no hook of its own the native sleep of t2: without it, a proxy beside the app
// would end before the app does. A native sidecar gets it only if it is a server: one that is not ends after the app anyway (KEP-753).
func withPreStop(lifecycle *corev1.Lifecycle, t2 int32) *corev1.Lifecycle {
	if lifecycle != nil && isHook(lifecycle.PreStop) {
		return lifecycle
	}
	if lifecycle == nil {
		lifecycle = &corev1.Lifecycle{}
	}
	lifecycle.PreStop = &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: int64(t2)}}
	return lifecycle
}
