package plan

import (
	"fmt"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
)

// gRPC needs no hook: GOAWAY is part of HTTP/2, and servers send it when they stop gracefully. A container behind a proxy or without a TCP
// port has no keep-alive connections from other pods.
func warnKeepAlive(in *input, s server) []string {
	if !s.targeted || in.probedPort(s) == "" || s.ownHook() != nil || s.speaksGRPC() {
		return nil
	}
	return warning("container %q has no drain-aware preStop hook, so a keep-alive connection may lose a request at SIGTERM; "+
		"use an httpGet hook, such as /drain, after which the app answers with `Connection: close`", s.written.Name)
}

// speaksGRPC reports whether the container has a gRPC probe, by Kubernetes or by the program that was usual before.
func (s server) speaksGRPC() bool {
	return slices.ContainsFunc(namedProbes(*s.written), func(p namedProbe) bool {
		return p.GRPC != nil || p.Exec != nil && strings.Contains(strings.ReplaceAll(strings.Join(p.Exec.Command, " "), "-", "_"), "grpc_health_probe")
	})
}

func warnUnreadableHook(in *input, s server) []string {
	hook := s.ownHook()
	if hook == nil || hook.Exec == nil {
		return nil
	}
	w, ok := readableWait(hook)
	switch {
	case ok && (w.exact || w.seconds >= float64(in.timing.PreStopSeconds)):
		return nil
	case ok:
		return warning("container %q has an exec preStop hook that waits %g s beside other commands; together they must last %d s (t2), because SIGTERM "+
			"follows as soon as it returns", s.written.Name, w.seconds, in.timing.PreStopSeconds)
	}
	return warning("container %q has an exec preStop hook without a readable wait; it must last %d s (t2), because SIGTERM follows as "+
		"soon as it returns", s.written.Name, in.timing.PreStopSeconds)
}

func warnReadinessByPort(_ *input, s server) []string {
	container := s.written
	if hasHandler(container.ReadinessProbe) {
		return nil
	}
	if s.derived.ReadinessProbe == nil {
		return warning("container %q has no readinessProbe, and no TCP port that could be probed instead, so it counts as ready at once; add one for "+
			"an HTTP endpoint that answers 200 only when the app can serve", container.Name)
	}
	return warning("container %q has no readinessProbe: an open port (tcpSocket) counts as ready; add one for an HTTP endpoint that answers 200 "+
		"only when the app can serve", container.Name)
}

func warnLivenessByPort(_ *input, s server) []string {
	container := s.written
	if hasHandler(container.LivenessProbe) || s.derived.LivenessProbe == nil {
		return nil
	}
	return warning("container %q has no livenessProbe: an open port (tcpSocket) counts as alive, and a deadlocked app has one too; add one for "+
		"an HTTP endpoint of its own", container.Name)
}

func warnSharedEndpoint(_ *input, s server) []string {
	container := s.written
	if !hasHandler(container.ReadinessProbe) || !hasHandler(container.LivenessProbe) ||
		!apiequality.Semantic.DeepEqual(container.ReadinessProbe.ProbeHandler, container.LivenessProbe.ProbeHandler) {
		return nil
	}
	return warning("container %q: readiness and liveness use the same endpoint, so the kubelet restarts a pod that should only be removed from "+
		"the endpoints of the Service; use two endpoints", container.Name)
}

func warnSharedProcessNamespace(in *input) []string {
	if shared := in.spec().Template.Spec.ShareProcessNamespace; shared != nil && *shared {
		return warning("spec.template.spec.shareProcessNamespace: the app is not PID 1 of its container, so check that SIGTERM " +
			"reaches it")
	}
	return nil
}

func warnOtherContainers(in *input) []string {
	var all []string
	for _, c := range in.spec().Template.Spec.Containers {
		if !in.isServer(c.Name) && preStopOf(c) == nil && !in.drainsBySidecar() {
			all = append(all, fmt.Sprintf("container %q has no preStop hook and gets a sleep of %d s (t2), so that it does not end before "+
				"the app; prefer a native sidecar (an init container with restartPolicy Always), which ends after the app", c.Name, in.timing.PreStopSeconds))
		}
	}
	return all
}

func warnFurtherHook(in *input) []string {
	var all []string
	t2 := in.timing.PreStopSeconds
	for _, c := range in.spec().Template.Spec.Containers {
		hook := preStopOf(c)
		if hook == nil || hook.Sleep != nil || in.isServer(c.Name) || in.drainsBySidecar() {
			continue
		}
		if w, _ := readableWait(hook); w.seconds < float64(t2) {
			all = append(all, fmt.Sprintf("container %q has a preStop hook that is shorter than preStopSeconds (t2), %d s, or does not show its time, so the "+
				"container may end before the app; write a sleep of t2 or more, leave the hook out, or make it a native sidecar", c.Name, t2))
		}
	}
	return all
}

func warnSidecarHook(in *input) []string {
	var all []string
	for _, c := range in.spec().Template.Spec.InitContainers {
		if hook := preStopOf(c); isNativeSidecar(c) && !in.isServer(c.Name) && hook != nil && hook.Sleep == nil {
			all = append(all, fmt.Sprintf("native sidecar %q has a preStop hook, which runs as soon as the pod is deleted, while the app "+
				"still serves; leave it out", c.Name))
		}
	}
	return all
}

func warnReadinessGates(in *input) []string {
	var gates []string
	for _, g := range in.spec().Template.Spec.ReadinessGates {
		gates = append(gates, string(g.ConditionType))
	}
	if len(gates) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("spec.template.spec.readinessGates: no pod is Ready until a controller sets its condition %s; until "+
		"then a rollout waits, and the old pods continue to serve", strings.Join(gates, ", "))}
}

func warning(format string, args ...any) []string { return []string{fmt.Sprintf(format, args...)} }
