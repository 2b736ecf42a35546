package plan

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/internal/timing"
)

const (
	// recommendedPreStopSeconds is enough for clients inside the cluster. Tutorials and measurements agree on it.
	recommendedPreStopSeconds = 5
	// lateConnectionSeconds is the least time after SIGTERM in which a server must be able to accept connections: it accepts them for 2 s, and
	// for 2 s after each one (package drain), and needs a second more on a busy node.
	lateConnectionSeconds = 3
	// exposedPreStopSeconds is the least for clients that learn of endpoints by DNS (a TTL of 30 s is usual) or by a cloud
	// load balancer's health checks.
	exposedPreStopSeconds = 30
	// autoscalerGraceSeconds is cluster autoscaler's default for --max-graceful-termination-sec.
	autoscalerGraceSeconds = 600
	// bridgeMarginSeconds is for scheduling and pulling the image of the pod that replaces an evicted one.
	bridgeMarginSeconds = 10
)

func warnShortPreStop(in *input) []string {
	if t2 := in.timing.PreStopSeconds; t2 >= 1 && t2 < recommendedPreStopSeconds {
		return warning("spec.timing.preStopSeconds (t2) is %d: endpoint changes may need longer to reach every proxy; %d or more "+
			"is usual", t2, recommendedPreStopSeconds)
	}
	return nil
}

// warnLateConnections: t1 - R is negative if the shutdown is refused anyway.
func warnLateConnections(in *input) []string {
	t1, r := in.timing.ShutdownSeconds, in.timing.RequestSeconds
	if left := t1 - r; left < 0 || left >= lateConnectionSeconds {
		return nil
	}
	return warning("spec.timing.shutdownSeconds (t1) is %d and requestSeconds (R) is %d: a proxy that learns of the deletion later than t2 still opens connections, "+
		"and the app can accept them for only t1 - R = %d s after SIGTERM; set shutdownSeconds to %d or more, or leave it out", t1, r, t1-r, r+lateConnectionSeconds)
}

func warnNoReplica(in *input) []string {
	if in.replicas() != 0 {
		return nil
	}
	return warning("spec.replicas is 0: every request is refused until a pod is ready, and no component queues the requests")
}

func warnOneReplica(in *input) []string {
	s, t2 := in.timing.StartupSeconds, in.timing.PreStopSeconds
	if in.replicas() != 1 || t2 >= s+bridgeMarginSeconds || in.running.ForeignDisruptionBudget != "" {
		return nil
	}
	const way = "use 2 replicas, or bridge the gap with preStopSeconds %d"
	if t2 >= s {
		return warning("spec.replicas is 1: draining its node loses requests if a start takes longer than preStopSeconds %d; "+way, t2, s+bridgeMarginSeconds)
	}
	return warning("spec.replicas is 1: draining its node loses about %d s of requests (startupSeconds %d - preStopSeconds %d); "+way, s-t2, s, t2,
		s+bridgeMarginSeconds)
}

// warnForeignBudget: with two budgets on a pod the Eviction API answers 500.
func warnForeignBudget(in *input) []string {
	switch name := in.running.ForeignDisruptionBudget; {
	case name == "":
		return nil
	case in.replicas() < 2:
		return warning("PodDisruptionBudget %s selects the app's pods already: unless it allows the eviction of the only pod, kubectl drain of its "+
			"node never ends; delete the budget, or use 2 replicas and a budget that allows one eviction", name)
	default:
		return warning("PodDisruptionBudget %s selects the app's pods already, so the operator creates none: every eviction of a pod that two budgets select fails", name)
	}
}

// service returns spec.service.spec as the user wrote it, empty if it is left out.
func (in *input) service() corev1.ServiceSpec {
	if given := in.spec().Service; given != nil {
		return given.Spec
	}
	return corev1.ServiceSpec{}
}

func warnInternalTraffic(in *input) []string {
	if p := in.service().InternalTrafficPolicy; p == nil || *p != corev1.ServiceInternalTrafficPolicyLocal {
		return nil
	}
	return warning("spec.service.spec.internalTrafficPolicy Local: when the last pod of a node terminates, the node refuses requests, even if " +
		"pods run on other nodes")
}

func warnExternalTraffic(in *input) []string {
	if in.service().ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		return nil
	}
	return warning("spec.service.spec.externalTrafficPolicy Local: when the last pod of a node terminates, the node refuses requests until the " +
		"load balancer's health check fails there; preStopSeconds (t2) must be longer than that")
}

func warnLoadBalancer(in *input) []string {
	t2 := in.timing.PreStopSeconds
	if in.service().Type != corev1.ServiceTypeLoadBalancer || t2 >= exposedPreStopSeconds {
		return nil
	}
	return warning("spec.service.spec.type LoadBalancer with preStopSeconds (t2) %d: cloud load balancers continue to send requests "+
		"for longer; %d or more is usual", t2, exposedPreStopSeconds)
}

func warnHeadless(in *input) []string {
	t2 := in.timing.PreStopSeconds
	if in.service().ClusterIP != corev1.ClusterIPNone || t2 >= exposedPreStopSeconds {
		return nil
	}
	return warning("a headless Service with preStopSeconds (t2) %d: clients keep addresses for the DNS record's time to live; %d or more "+
		"is usual", t2, exposedPreStopSeconds)
}

func warnShortLiveness(in *input, s server) []string {
	probe := s.derived.LivenessProbe
	if s.written.LivenessProbe == nil || !hasHandler(probe) || probeBoundsError(s.written.LivenessProbe) != nil || in.exceedsMaxTolerance() {
		return nil
	}
	patient, r := guaranteedTolerance(probe), int64(in.timing.RequestSeconds)
	if patient > r {
		return nil
	}
	return warning("container %q: the livenessProbe tolerates failures for %d s (periodSeconds %d x (failureThreshold %d - 1), because the first "+
		"failure can happen at any moment of the first period), which is not more than requestSeconds %d: the kubelet may kill a server that is busy "+
		"with its longest request; set failureThreshold to %d or leave it out", s.written.Name, patient, probe.PeriodSeconds, probe.FailureThreshold, r,
		r/int64(probe.PeriodSeconds)+2)
}

// exceedsMaxTolerance reports whether R exceeds the longest time for which a derived liveness probe tolerates failures. Then a failureThreshold that the
// owner sets is a choice, and no warning follows.
func (in *input) exceedsMaxTolerance() bool {
	return in.version >= 2 && in.timing.RequestSeconds > timing.MaxLivenessToleranceSeconds
}

func warnBoundedTolerance(in *input, s server) []string {
	written, probe := s.written.LivenessProbe, s.derived.LivenessProbe
	if !in.exceedsMaxTolerance() || !hasHandler(probe) || written != nil && written.FailureThreshold != 0 {
		return nil
	}
	return warning("container %q: requestSeconds is %d, but a livenessProbe without failureThreshold tolerates failures for at most %d s. The kubelet "+
		"then restarts the server, and its requests have %d s to end; to change this time, set failureThreshold in the livenessProbe",
		s.written.Name, in.timing.RequestSeconds, toleranceOf(probe), in.timing.LivenessGraceSeconds)
}

func warnLongGracePeriod(in *input) []string {
	if t3 := in.timing.TerminationGracePeriodSeconds; t3 > autoscalerGraceSeconds && t3 <= timing.MaxTerminationGracePeriodSeconds {
		return warning("t3 is %d: cluster autoscaler waits at most %d s (--max-graceful-termination-sec) and then kills the pod; "+
			"raise this flag too", t3, autoscalerGraceSeconds)
	}
	return nil
}

func warnSidecarRoom(in *input) []string {
	given, n := in.spec().Timing.TerminationGracePeriodSeconds, nativeSidecars(in.spec().Template.Spec)
	if given == nil || n == 0 {
		return nil
	}
	needed := int64(in.timing.ShutdownSeconds) + int64(in.timing.PreStopSeconds) + int64(n)*timing.SidecarSeconds
	if int64(*given) > needed {
		return nil
	}
	return warning("spec.timing.terminationGracePeriodSeconds (t3) is %d: native sidecars stop one after another after the app has "+
		"ended, so it must be more than t1 + t2 + %d x %d = %d; raise it or leave it out", *given, n, timing.SidecarSeconds, needed)
}
