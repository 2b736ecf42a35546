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
		{c.StartupProbe, "startupProbe"}, {c.ReadinessProbe, "readinessProbe"}, {c.LivenessProbe, "livenessProbe"},
	} {
		if p.Probe != nil {
			all = append(all, p)
		}
	}
	return all
}

// deriveProbes completes the probes that the user wrote: a missing handler, and every number that was left out (a probe
// does not tell 0 from absent). port is the serving port's name, the fallback target.
func deriveProbes(written probes, t timing.Timing, port string) probes {
	fallback := corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString(port)}}
	readiness := completeProbe(written.readiness, t.Readiness, fallback)
	liveness := completeProbe(written.liveness, t.Liveness, fallback)
	// The startup probe asks what the liveness probe will ask, so that the first liveness probe after it succeeds.
	startup := completeProbe(written.startup, t.Startup, liveness.ProbeHandler)
	// A readiness probe never ends a container, and the API server refuses it a grace period.
	for _, p := range []*corev1.Probe{startup, liveness} {
		grace := int64(t.LivenessGraceSeconds)
		p.TerminationGracePeriodSeconds = &grace
	}
	return probes{startup: startup, readiness: readiness, liveness: liveness}
}

func completeProbe(written *corev1.Probe, t timing.Probe, handler corev1.ProbeHandler) *corev1.Probe {
	probe := written.DeepCopy()
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

// budget is how long a probe may fail, in seconds.
func budget(p *corev1.Probe) int64 {
	return int64(p.InitialDelaySeconds) + int64(p.PeriodSeconds)*int64(p.FailureThreshold)
}

// guaranteedBudget is the part of the budget that is certain: the first probe falls anywhere in the first period.
func guaranteedBudget(p *corev1.Probe) int64 { return budget(p) - int64(p.PeriodSeconds) }
