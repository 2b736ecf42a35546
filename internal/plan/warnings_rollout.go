package plan

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// takeFirst is the advice where no new pod can run beside the old ones.
const takeFirst = "to let a rollout terminate an old pod first, set spec.strategy.rollingUpdate.maxSurge to 0 and maxUnavailable to 1"

// warnMissingPods tells how many replicas may be missing during a rollout.
func warnMissingPods(in *input) []string {
	replicas := in.replicas()
	missing := in.missingPods(replicas)
	if missing == 0 || isZero(in.maxUnavailable()) { // a refused spec gets no such warning
		return nil
	}
	text := fmt.Sprintf("spec.strategy.rollingUpdate: during a rollout up to %d of %d replicas are missing", missing, replicas)
	s, t2, t3 := int64(in.timing.StartupSeconds), int64(in.timing.PreStopSeconds), int64(in.timing.TerminationGracePeriodSeconds)
	switch {
	case missing < replicas:
	case in.waitsForOldPod():
		text += fmt.Sprintf(", and requests are lost for about %d s (t3 %d - t2 %d + startupSeconds %d), and longer if scheduling, volumes or init containers take "+
			"time, because a new pod may have to wait for the end of an old one", t3-t2+s, t3, t2, s)
	case t2 < s:
		text += fmt.Sprintf(", and requests are lost for about %d s (startupSeconds %d - preStopSeconds %d)", s-t2, s, t2)
	case t2 < s+bridgeMarginSeconds:
		text += fmt.Sprintf(", and requests are lost if a start takes longer than preStopSeconds %d; preStopSeconds %d leaves room", t2, s+bridgeMarginSeconds)
	}
	return []string{text}
}

// waitsForOldPod reports whether a new pod may be unable to start before an old one has ended.
func (in *input) waitsForOldPod() bool {
	return len(in.repelledWithin())+len(in.nodePorts())+len(in.claims()) > 0
}

// warnShortDeadline counts the end of the old pod, as the derived deadline does.
func warnShortDeadline(in *input) []string {
	given := in.spec().ProgressDeadlineSeconds
	if given == nil || isZero(in.maxUnavailable()) || !in.waitsForOldPod() {
		return nil
	}
	start, ready, t3 := int64(in.startupBudget()), int64(in.timing.MinReadySeconds), int64(in.timing.TerminationGracePeriodSeconds)
	if int64(*given) > start+ready+t3 {
		return nil
	}
	return warning("spec.progressDeadlineSeconds %d is not more than the startup budget %d + minReadySeconds %d + terminationGracePeriodSeconds (t3) %d = %d: a "+
		"new pod may have to wait for the end of an old one, and then the rollout counts as failed; set it to at least %d or leave it out",
		*given, start, ready, t3, start+ready+t3, start+ready+t3+1)
}

// waitsForRoom reports whether a rollout ends an old pod only after a new one has become available.
func (in *input) waitsForRoom() bool { return in.missingPods(max(1, in.replicas())) == 0 }

// keepsPods tells in numbers why a rollout ends no old pod first.
func (in *input) keepsPods() string {
	if given := in.maxUnavailable(); given != defaultMaxUnavailable {
		return fmt.Sprintf("maxUnavailable %s comes to 0 of %d replicas", given.String(), in.replicas())
	}
	return "maxUnavailable is 0"
}

// warnAntiAffinity: where the app's pods repel each other, the new pod of a rollout needs a node without an old one.
func warnAntiAffinity(in *input) []string {
	if !in.waitsForRoom() {
		return nil
	}
	var all []string
	for _, key := range in.repelledWithin() {
		all = append(all, fmt.Sprintf("spec.template.spec.affinity.podAntiAffinity (required): no two of the app's pods share a %s, and %s, so a rollout "+
			"needs a spare one or never ends; %s, or make the anti-affinity a preferred one", domain(key), in.keepsPods(), takeFirst))
	}
	return all
}

// repelledWithin returns the topology keys within which required anti-affinity keeps a new pod away from the app's old pods.
func (in *input) repelledWithin() []string {
	var keys []string
	if a := in.template.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		for _, term := range a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			if !slices.Contains(keys, term.TopologyKey) && in.repelsItself(term) {
				keys = append(keys, term.TopologyKey)
			}
		}
	}
	return keys
}

// domain returns the word for the nodes that have the same value of a label.
func domain(topologyKey string) string {
	switch topologyKey {
	case corev1.LabelHostname:
		return "node"
	case corev1.LabelTopologyZone:
		return "zone"
	}
	return "value of the node label " + topologyKey
}

// repelsItself reports whether the term keeps a new pod of the app away from the app's old pods.
func (in *input) repelsItself(term corev1.PodAffinityTerm) bool {
	if !in.selectsOwnPods(term) {
		return false
	}
	// The value of this label differs between the old and the new pods of a rollout.
	if slices.Contains(term.MatchLabelKeys, appsv1.DefaultDeploymentUniqueLabelKey) {
		return false
	}
	if slices.ContainsFunc(term.MismatchLabelKeys, func(key string) bool { _, ok := in.template.Labels[key]; return ok }) {
		return false
	}
	// The labels of namespaces are unknown here, so of the selectors only the one that selects all namespaces counts.
	anyNamespace := term.NamespaceSelector != nil && len(term.NamespaceSelector.MatchLabels)+len(term.NamespaceSelector.MatchExpressions) == 0
	ownNamespace := term.NamespaceSelector == nil && len(term.Namespaces) == 0
	return anyNamespace || ownNamespace || slices.Contains(term.Namespaces, in.app.Namespace)
}

func warnHostPorts(in *input) []string {
	ports := in.nodePorts()
	if len(ports) == 0 || !in.waitsForRoom() {
		return nil
	}
	return warning("port %s of the node (hostPort or hostNetwork) is taken by one pod, and %s, so a rollout needs a node without a pod of the app or never "+
		"ends; %s", strings.Join(ports, ", "), in.keepsPods(), takeFirst)
}

// nodePorts returns the ports of the node that a pod takes. With hostNetwork the API server makes each container port one of them.
func (in *input) nodePorts() []string {
	var ports []string
	for _, p := range portsOf(in.template.Spec) {
		switch {
		case p.HostPort != 0:
			ports = append(ports, fmt.Sprint(p.HostPort))
		case in.template.Spec.HostNetwork:
			ports = append(ports, fmt.Sprint(p.ContainerPort))
		}
	}
	return ports
}

// warnClaims: the spec does not show the access mode of a claim.
func warnClaims(in *input) []string {
	claims := in.claims()
	if len(claims) == 0 || !in.waitsForRoom() {
		return nil
	}
	return warning("PersistentVolumeClaim %s: if its access mode is ReadWriteOnce or ReadWriteOncePod, a new pod may have to wait for the end of an old "+
		"one, and %s, so a rollout may never end; %s", strings.Join(claims, ", "), in.keepsPods(), takeFirst)
}

func (in *input) claims() []string {
	var claims []string
	for _, v := range in.template.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			claims = append(claims, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return claims
}

// warnAdoptedDeadline: the owner has raised the deadline for a reason.
func warnAdoptedDeadline(in *input) []string {
	d := in.running.Deployment
	if d == nil || !in.adopts(d) || d.Spec.ProgressDeadlineSeconds == nil || *d.Spec.ProgressDeadlineSeconds <= in.progressDeadlineSeconds() {
		return nil
	}
	return warning("Deployment %s has progressDeadlineSeconds %d, and the GracefulApp %d: a rollout with long init containers counts as failed earlier than "+
		"before; to keep the number, write it into spec.progressDeadlineSeconds", d.Name, *d.Spec.ProgressDeadlineSeconds, in.progressDeadlineSeconds())
}

// warnAdoptedStrategy: a Deployment that ends old pods first may need that, and only its owner knows.
func warnAdoptedStrategy(in *input) []string {
	d := in.running.Deployment
	if d == nil || !in.adopts(d) || !in.waitsForRoom() {
		return nil
	}
	live := ""
	switch s := d.Spec.Strategy; {
	case s.Type == appsv1.RecreateDeploymentStrategyType:
		live = "strategy Recreate"
	case s.RollingUpdate != nil && s.RollingUpdate.MaxSurge != nil && isZero(*s.RollingUpdate.MaxSurge):
		live = "maxSurge 0"
	default:
		return nil
	}
	return warning("Deployment %s has %s, so its old pods end first, but a rollout of the GracefulApp terminates them last (%s); if no two pods can run side by side, a "+
		"rollout never ends; %s", d.Name, live, in.keepsPods(), takeFirst)
}
