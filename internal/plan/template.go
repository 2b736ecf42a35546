package plan

import (
	"cmp"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/internal/timing"
)

// The environment variables from which the app can read the declared times, so that app and operator use the same numbers.
const (
	envShutdown    = "GRACEFUL_SHUTDOWN_SEC"
	envPreStop     = "GRACEFUL_PRESTOP_SEC"
	envTermination = "GRACEFUL_TERMINATION_SEC"
	// envRequest is added from derivation version 2 on.
	envRequest = "GRACEFUL_REQUEST_SEC"
)

// defaultPortName is the name that the derived template gives to an unnamed serving port.
const defaultPortName = "http"

// withNamedPort returns the user's pod template with a name for the serving container's first TCP port, so that the Service can target it.
func withNamedPort(in *input) *corev1.PodTemplateSpec {
	template := in.spec().Template.DeepCopy()
	template.CreationTimestamp = metav1.Time{} // an exported manifest may have it
	if in.servingIndex < 0 {
		return template
	}
	ports := template.Spec.Containers[in.servingIndex].Ports
	if i := firstTCPPort(template.Spec.Containers[in.servingIndex]); i >= 0 && ports[i].Name == "" {
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
	setServiceAccountName(&template.Spec)
	spreadPods(in)
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
	p := deriveProbes(probesOf(*c), in.timing, tcpHandler(in.probedPort(s)), s.native)
	c.StartupProbe, c.ReadinessProbe, c.LivenessProbe = p.startup, p.readiness, p.liveness
	added := []corev1.EnvVar{}
	for _, e := range in.derivedEnvironment() {
		if !hasEnv(c.Env, e.Name) {
			added = append(added, e)
		}
	}
	// First, because $(GRACEFUL_SHUTDOWN_SEC) in another variable expands only if that variable comes later in the list.
	c.Env = append(added, c.Env...)
	c.Lifecycle = withPreStop(c.Lifecycle, in.timing.PreStopSeconds)
}

// firstTCPPort returns the index of the container's first TCP port, or -1.
func firstTCPPort(c corev1.Container) int {
	return slices.IndexFunc(c.Ports, func(p corev1.ContainerPort) bool { return protocol(p.Protocol) == corev1.ProtocolTCP })
}

// protocol returns the protocol, by default TCP, as in the API server.
func protocol(p corev1.Protocol) corev1.Protocol { return cmp.Or(p, corev1.ProtocolTCP) }

// derivedEnvironment returns the variables that the operator adds, in their order.
func (in *input) derivedEnvironment() []corev1.EnvVar {
	all := timeVariables(in.appTiming())
	// With a drain sidecar, no request is in flight at SIGTERM. The package drain would refuse a request that takes longer than GRACEFUL_SHUTDOWN_SEC.
	if in.version >= 2 && !in.drainsBySidecar() {
		all = append(all, requestVariable(in.timing))
	}
	return all
}

func timeVariables(t timing.Timing) []corev1.EnvVar {
	return []corev1.EnvVar{
		secondsVariable(envShutdown, t.ShutdownSeconds),
		secondsVariable(envPreStop, t.PreStopSeconds),
		secondsVariable(envTermination, t.TerminationGracePeriodSeconds),
	}
}

func requestVariable(t timing.Timing) corev1.EnvVar {
	return secondsVariable(envRequest, t.RequestSeconds)
}

func secondsVariable(name string, n int32) corev1.EnvVar {
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

// withPreStop adds a preStop sleep of t2, unless the user wrote a hook. Without the sleep, a proxy beside the app would end before the app.
// Native sidecars without requests need none, because they end after the app (KEP-753).
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
