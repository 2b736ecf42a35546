package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/gracefulapp/gracefulapp/internal/timing"
)

// injected returns the containers that the operator did not send.
func (p admittedPod) injected(containers []corev1.Container) []corev1.Container {
	return slices.DeleteFunc(slices.Clone(containers), func(c corev1.Container) bool { return find(c.Name, p.sent) != nil })
}

// find returns the container of this name in a pod, or nil.
func find(name string, pod corev1.PodSpec) *corev1.Container {
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		if c.Name == name {
			return &c
		}
	}
	return nil
}

func warnInjectedContainer(p admittedPod) []string {
	t2 := p.Timing.PreStopSeconds
	var all []string
	for _, c := range p.injected(p.admitted.Containers) {
		if holds, ok := hookSeconds(c); ok && holds < float64(t2) {
			problem := "has no preStop hook"
			if preStopOf(c) != nil {
				problem = fmt.Sprintf("has a preStop hook of %g s, less than preStopSeconds (t2) %d", holds, t2)
			}
			all = append(all, fmt.Sprintf("container %q is injected into the pods and %s, so it ends while the app still serves; configure its injector to "+
				"make it a native sidecar, or to give it a preStop sleep of %d s", c.Name, problem, t2))
		}
	}
	return all
}

// hookSeconds returns how long a container's preStop hook delays SIGTERM; ok is false if the hook does not show it.
func hookSeconds(c corev1.Container) (seconds float64, ok bool) {
	switch hook := preStopOf(c); {
	case hook == nil:
		return 0, true
	case hook.Sleep != nil:
		return float64(hook.Sleep.Seconds), true
	default:
		w, ok := readableWait(hook)
		return w.seconds, ok && w.exact
	}
}

func warnInjectedMesh(p admittedPod) []string {
	if p.Drain == nil {
		return nil
	}
	var all []string
	for _, c := range p.injected(slices.Concat(p.admitted.Containers, p.admitted.InitContainers)) {
		if m, ok := meshOf(c.Name); ok {
			all = append(all, fmt.Sprintf("container %q of a service mesh is injected into the pods: it may end before the drain sidecar has finished the requests; %s",
				c.Name, m.remedy()))
		}
	}
	return all
}

func warnInjectedSidecars(p admittedPod) []string {
	sidecars := slices.DeleteFunc(p.injected(p.admitted.InitContainers), func(c corev1.Container) bool { return !isNativeSidecar(c) })
	grace := p.admitted.TerminationGracePeriodSeconds
	least, advised := p.leastGraceWithSidecars()
	// Where a policy sets the grace period, another t3 has no effect: warnChangedGrace warns of that.
	if len(sidecars) == 0 || grace == nil || *grace >= least || p.changedGrace() {
		return nil
	}
	var names []string
	for _, c := range sidecars {
		names = append(names, c.Name)
	}
	return warning("native sidecars are injected into the pods (%s): they stop one after another after the app has ended, and t3 = %d leaves no time for them; set "+
		"spec.timing.terminationGracePeriodSeconds to %d", strings.Join(names, ", "), *grace, advised)
}

// leastGraceWithSidecars returns the least t3 with room for all native sidecars of the pod, and the t3 to set. With a drain sidecar, checkDrainGracePeriod
// requires the same number for native sidecars of the template; it counts the drain sidecar separately.
func (p admittedPod) leastGraceWithSidecars() (least, advised int64) {
	n := nativeSidecars(p.admitted)
	if p.Drain == nil {
		needed := p.leastGrace() + int64(n)*timing.SidecarSeconds
		return needed + 1, needed + timing.SidecarSeconds
	}
	if find(drainContainer, p.admitted) != nil {
		n--
	}
	least = int64(timing.Timing{StopSeconds: p.stopSeconds}.LeastGracePeriodWithSidecar(n))
	return least, least
}

// leastGrace returns how long the app may take to end, which t3 must exceed: t1 + t2, or more with a drain sidecar.
func (p admittedPod) leastGrace() int64 { return int64(p.stopSeconds) }

// changedGrace reports whether the pods get another grace period than t3.
func (p admittedPod) changedGrace() bool {
	grace := p.admitted.TerminationGracePeriodSeconds
	return grace != nil && *grace != int64(p.Timing.TerminationGracePeriodSeconds)
}

func warnChangedGrace(p admittedPod) []string {
	if !p.changedGrace() {
		return nil
	}
	grace, t3 := p.admitted.TerminationGracePeriodSeconds, p.Timing.TerminationGracePeriodSeconds
	text := fmt.Sprintf("a policy of the cluster sets the pods' terminationGracePeriodSeconds to %d instead of t3 = %d", *grace, t3)
	if *grace <= p.leastGrace() {
		least := fmt.Sprintf("t1 + t2 = %d", p.leastGrace())
		if p.Drain != nil {
			least = fmt.Sprintf("the %d s that the drain sidecar and the app may take to end", p.leastGrace())
		}
		text += fmt.Sprintf(", which is not more than %s: SIGKILL cuts requests short; exempt the app's pods from it", least)
	}
	return []string{text}
}

func warnChangedContainers(p admittedPod) []string {
	var all []string
	for _, sent := range slices.Concat(p.sent.InitContainers, p.sent.Containers) {
		admitted := find(sent.Name, p.admitted)
		if admitted == nil {
			all = append(all, fmt.Sprintf("a policy of the cluster removes or renames container %q in the pods; exempt the app's pods from it", sent.Name))
			continue
		}
		if changed := changedFields(sent, *admitted); len(changed) > 0 {
			all = append(all, fmt.Sprintf("a policy of the cluster changes or removes %s of container %q in the pods; check that the change is harmless, or exempt "+
				"the app's pods from it", strings.Join(changed, ", "), sent.Name))
		}
	}
	return all
}

// changedFields returns the derived fields, such as probes and hook, that the admitted container lacks or has with another value.
func changedFields(sent, admitted corev1.Container) []string {
	var changed []string
	for _, f := range []struct {
		name string
		kept bool
	}{
		{name: "startupProbe", kept: isKept(sent.StartupProbe, admitted.StartupProbe)},
		{name: "readinessProbe", kept: isKept(sent.ReadinessProbe, admitted.ReadinessProbe)},
		{name: "livenessProbe", kept: isKept(sent.LivenessProbe, admitted.LivenessProbe)},
		{name: "lifecycle.preStop", kept: apiequality.Semantic.DeepDerivative(preStopOf(sent), preStopOf(admitted))},
		{name: "restartPolicy", kept: apiequality.Semantic.DeepEqual(sent.RestartPolicy, admitted.RestartPolicy)},
	} {
		if !f.kept {
			changed = append(changed, f.name)
		}
	}
	for _, name := range []string{envShutdown, envPreStop, envTermination, envRequest} {
		if !apiequality.Semantic.DeepEqual(variable(sent, name), variable(admitted, name)) {
			changed = append(changed, "env "+name)
		}
	}
	return changed
}

// variable returns the container's variable of this name, or nil. Of several the kubelet takes the last.
func variable(c corev1.Container, name string) *corev1.EnvVar {
	for _, e := range slices.Backward(c.Env) {
		if e.Name == name {
			return &e
		}
	}
	return nil
}

// isKept reports whether the API server admits the probe as it was sent. A field that was left out may have any value, because the API server
// sets its default. DeepDerivative compares a number even if it is 0, so isKept first copies the numbers that were left out.
func isKept(sent, admitted *corev1.Probe) bool {
	if sent == nil || admitted == nil {
		return sent == nil
	}
	want := sent.DeepCopy()
	want.PeriodSeconds = cmp.Or(want.PeriodSeconds, admitted.PeriodSeconds)
	want.TimeoutSeconds = cmp.Or(want.TimeoutSeconds, admitted.TimeoutSeconds)
	want.FailureThreshold = cmp.Or(want.FailureThreshold, admitted.FailureThreshold)
	want.SuccessThreshold = cmp.Or(want.SuccessThreshold, admitted.SuccessThreshold)
	return apiequality.Semantic.DeepDerivative(want, admitted)
}
