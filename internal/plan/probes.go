package plan

import (
	"cmp"

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

// namedProbes returns the probes that a container has, in the order in which they begin to run.
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

// deriveProbes adds to the user's probes a missing handler and each number that is 0, which means left out. fallback is the handler for a probe without
// one. If fallback is empty, a probe without a handler does not change.
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

// tcpHandler returns a handler that probes whether a port accepts connections, or an empty one if there is no port.
func tcpHandler(name string) corev1.ProbeHandler {
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

// startupBudgetOf returns how long a container may take until the probe has succeeded once, in seconds; 0 without a probe.
func startupBudgetOf(p *corev1.Probe) int64 {
	if p == nil {
		return 0
	}
	return int64(p.InitialDelaySeconds) + toleranceOf(p)
}

// guaranteedStartupBudget is startupBudgetOf without one period, because the first probe can happen at any moment of the first period.
func guaranteedStartupBudget(p *corev1.Probe) int64 {
	return startupBudgetOf(p) - int64(p.PeriodSeconds)
}

// toleranceOf returns how long a started container may fail the probe, in seconds. The initial delay does not count: it is over by then.
// The probes of a container that is no server have Kubernetes' defaults.
func toleranceOf(p *corev1.Probe) int64 {
	return int64(cmp.Or(p.PeriodSeconds, 10)) * int64(cmp.Or(p.FailureThreshold, 3))
}

// guaranteedTolerance is toleranceOf without one period, because the first failure can happen at any moment of the first period.
func guaranteedTolerance(p *corev1.Probe) int64 { return toleranceOf(p) - int64(p.PeriodSeconds) }
