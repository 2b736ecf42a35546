package plan

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/internal/timing"
)

// probes of one container.
type probes struct {
	startup, readiness, liveness *corev1.Probe
}

func probesOf(c corev1.Container) probes {
	return probes{startup: c.StartupProbe, readiness: c.ReadinessProbe, liveness: c.LivenessProbe}
}

type namedProbe struct {
	*corev1.Probe
	name string
}

// namedProbes are the probes that a container has, in the order in which they begin to run.
func namedProbes(c corev1.Container) []namedProbe {
	var all []namedProbe
	for _, p := range []namedProbe{
		{Probe: c.StartupProbe, name: "startupProbe"}, {Probe: c.ReadinessProbe, name: "readinessProbe"}, {Probe: c.LivenessProbe, name: "livenessProbe"},
	} {
		if p.Probe != nil {
			all = append(all, p)
		}
	}
	return all
}

// deriveProbes completes the probes that the user wrote: a missing handler, and every number that was left out (a probe
// does not tell 0 from absent). fallback is the handler of a probe that has none; without it such a probe is left as it is.
func deriveProbes(written probes, t timing.Timing, fallback corev1.ProbeHandler, native bool) probes {
	readiness := completeProbe(written.readiness, t.Readiness, fallback)
	liveness := completeProbe(written.liveness, t.Liveness, fallback)
	// The startup probe uses the liveness probe's handler, so that the first liveness probe after it succeeds. A native sidecar's startup probe
	// does not: the app starts after it has succeeded, and the sidecar's liveness probe may reach the app through the sidecar.
	start := fallback
	if liveness != nil && !native {
		start = liveness.ProbeHandler
	}
	startup := completeProbe(written.startup, t.Startup, start)
	// A readiness probe never ends a container, and the API server refuses it a grace period.
	for _, p := range []*corev1.Probe{startup, liveness} {
		if p != nil {
			grace := int64(t.LivenessGraceSeconds)
			p.TerminationGracePeriodSeconds = &grace
		}
	}
	return probes{startup: startup, readiness: readiness, liveness: liveness}
}

// openPort is a handler that probes whether a port accepts connections, or an empty one if there is no port.
func openPort(name string) corev1.ProbeHandler {
	if name == "" {
		return corev1.ProbeHandler{}
	}
	return corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString(name)}}
}

func completeProbe(written *corev1.Probe, t timing.Probe, handler corev1.ProbeHandler) *corev1.Probe {
	probe := written.DeepCopy()
	if !hasHandler(probe) && !hasHandler(&corev1.Probe{ProbeHandler: handler}) {
		return probe
	}
	if probe == nil {
		probe = &corev1.Probe{}
	}
	if !hasHandler(probe) {
		probe.ProbeHandler = *handler.DeepCopy()
	}
	if probe.PeriodSeconds == 0 {
		probe.PeriodSeconds = t.PeriodSeconds
	}
	if probe.TimeoutSeconds == 0 {
		probe.TimeoutSeconds = t.TimeoutSeconds
	}
	if probe.FailureThreshold == 0 {
		probe.FailureThreshold = t.FailureThreshold(probe.PeriodSeconds)
	}
	return probe
}

func hasHandler(p *corev1.Probe) bool {
	return p != nil && (p.HTTPGet != nil || p.TCPSocket != nil || p.Exec != nil || p.GRPC != nil)
}

// startBudget is how long a container may take until the probe has succeeded once, in seconds; 0 without a probe.
func startBudget(p *corev1.Probe) int64 {
	if p == nil {
		return 0
	}
	return int64(p.InitialDelaySeconds) + patience(p)
}

// certainStartBudget leaves a period out, because the first probe falls anywhere in the first one.
func certainStartBudget(p *corev1.Probe) int64 { return startBudget(p) - int64(p.PeriodSeconds) }

// patience is how long a container that runs may fail the probe, in seconds. The initial delay is over by then: it counts from the container's start.
func patience(p *corev1.Probe) int64 { return int64(p.PeriodSeconds) * int64(p.FailureThreshold) }

// certainPatience leaves a period out, because the first failure falls anywhere in the first one.
func certainPatience(p *corev1.Probe) int64 { return patience(p) - int64(p.PeriodSeconds) }
