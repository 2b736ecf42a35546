package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/gracefulapp/gracefulapp/internal/timing"
)

const (
	// recommendedPreStopSeconds is what tutorials and measurement agree on inside a cluster.
	recommendedPreStopSeconds = 5
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

func warnKeepAlive(in *input) []string {
	if in.servingContainer() == nil || in.ownHook() != nil {
		return nil
	}
	return warning("container %q has no drain-aware preStop hook, so an idle keep-alive connection may lose a request at SIGTERM "+
		"(measured: 20 in 2.4 million); let the app answer `Connection: close` from an httpGet hook on, such as /drain",
		in.servingContainer().Name)
}

func warnUnreadableHook(in *input) []string {
	hook := in.ownHook()
	if hook == nil || hook.Exec == nil {
		return nil
	}
	if _, ok := readableSeconds(hook); ok {
		return nil
	}
	return warning("container %q has an exec preStop hook without a readable wait; it must last %d s (t2), for SIGTERM follows as "+
		"soon as it returns", in.servingContainer().Name, in.timing.PreStopSeconds)
}

func warnFewReplicas(in *input) []string {
	s, t2 := in.timing.StartupSeconds, in.timing.PreStopSeconds
	switch {
	case in.replicas() == 0:
		return warning("spec.replicas is 0: every request is refused until a pod is ready, and nothing holds them back meanwhile")
	case in.replicas() == 1 && t2 < s+bridgeMarginSeconds:
		return warning("spec.replicas is 1: draining its node loses about %d s of requests (startupSeconds %d - preStopSeconds %d); "+
			"use 2 replicas, or bridge the gap with preStopSeconds %d", max(1, s-t2), s, t2, s+bridgeMarginSeconds)
	}
	return nil
}

func warnExposure(in *input) []string {
	given := in.spec().Service
	if given == nil {
		return nil
	}
	var all []string
	service, t2 := given.Spec, in.timing.PreStopSeconds
	if p := service.InternalTrafficPolicy; p != nil && *p == corev1.ServiceInternalTrafficPolicyLocal {
		all = append(all, "spec.service.spec.internalTrafficPolicy Local: a node whose last pod goes refuses requests, however many "+
			"pods run elsewhere")
	}
	if service.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		all = append(all, "spec.service.spec.externalTrafficPolicy Local: a node whose last pod goes refuses requests until the load "+
			"balancer's health check has noticed; preStopSeconds (t2) must be longer than that")
	}
	if t2 >= exposedPreStopSeconds {
		return all
	}
	if service.Type == corev1.ServiceTypeLoadBalancer {
		all = append(all, fmt.Sprintf("spec.service.spec.type LoadBalancer with preStopSeconds (t2) %d: cloud load balancers go on "+
			"sending requests for longer; %d or more is usual", t2, exposedPreStopSeconds))
	}
	if service.ClusterIP == corev1.ClusterIPNone {
		all = append(all, fmt.Sprintf("a headless Service with preStopSeconds (t2) %d: clients keep addresses for the DNS record's "+
			"time to live; %d or more is usual", t2, exposedPreStopSeconds))
	}
	return all
}

func warnFallbackProbes(in *input) []string {
	container := in.servingContainer()
	if container == nil {
		return nil
	}
	var all []string
	if !hasHandler(container.ReadinessProbe) {
		all = append(all, fmt.Sprintf("container %q has no readinessProbe: an open port (tcpSocket) counts as ready; name an HTTP "+
			"endpoint that answers 200 only when the app can serve", container.Name))
	}
	if !hasHandler(container.LivenessProbe) {
		all = append(all, fmt.Sprintf("container %q has no livenessProbe: an open port (tcpSocket) counts as alive, which a deadlocked "+
			"app has too; name an HTTP endpoint of its own", container.Name))
	}
	return all
}

func warnSharedEndpoint(in *input) []string {
	container := in.servingContainer()
	if container == nil || !hasHandler(container.ReadinessProbe) || !hasHandler(container.LivenessProbe) ||
		!apiequality.Semantic.DeepEqual(container.ReadinessProbe.ProbeHandler, container.LivenessProbe.ProbeHandler) {
		return nil
	}
	return warning("container %q: readiness and liveness ask the same endpoint, so a pod that should only leave the rotation is "+
		"restarted; use two endpoints", container.Name)
}

func warnImpatientLiveness(in *input) []string {
	container := in.servingContainer()
	if container == nil || container.LivenessProbe == nil || boundedProbe(container.LivenessProbe) != nil {
		return nil
	}
	guaranteed, r := guaranteedBudget(in.probes.liveness), int64(in.timing.RequestSeconds)
	if guaranteed > r {
		return nil
	}
	return warning("container %q: the livenessProbe's certain budget, %d s, is not more than requestSeconds %d: a server busy with "+
		"its longest request may be killed; raise failureThreshold or leave it out", container.Name, guaranteed, r)
}

func warnLongGracePeriod(in *input) []string {
	if t3 := in.timing.TerminationGracePeriodSeconds; t3 > autoscalerGraceSeconds && t3 <= timing.MaxTerminationGracePeriodSeconds {
		return warning("t3 is %d: cluster autoscaler waits %d s at most (--max-graceful-termination-sec) and then kills; raise its "+
			"flag too", t3, autoscalerGraceSeconds)
	}
	return nil
}

func warnSharedProcessNamespace(in *input) []string {
	if shared := in.spec().Template.Spec.ShareProcessNamespace; shared != nil && *shared {
		return warning("spec.template.spec.shareProcessNamespace: the app is not PID 1 of its container, so look whether SIGTERM " +
			"reaches it")
	}
	return nil
}

func warnOtherContainers(in *input) []string {
	var all []string
	for i, c := range in.spec().Template.Spec.Containers {
		if i != in.serving && preStopOf(c) == nil {
			all = append(all, fmt.Sprintf("container %q has no preStop hook and gets a sleep of %d s (t2), lest it end before the app; "+
				"better make it a native sidecar (an init container with restartPolicy Always)", c.Name, in.timing.PreStopSeconds))
		}
	}
	for _, c := range in.spec().Template.Spec.InitContainers {
		if hook := preStopOf(c); isNativeSidecar(c) && hook != nil && hook.Sleep == nil {
			all = append(all, fmt.Sprintf("native sidecar %q has a preStop hook, which runs as soon as the pod is deleted, while the app "+
				"still serves; leave it out", c.Name))
		}
	}
	return all
}

func warning(format string, args ...any) []string { return []string{fmt.Sprintf(format, args...)} }
