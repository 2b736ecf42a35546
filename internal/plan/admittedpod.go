package plan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// admittedPod is a pod of the app as it is derived, and as the API server admits it after webhooks, policies and limit ranges have changed it.
type admittedPod struct {
	Plan
	sent, admitted corev1.PodSpec
}

type podWarningCheck struct {
	Warning
	find func(admittedPod) []string
}

// podWarnings are about the pods as the API server admits them.
var podWarnings = []podWarningCheck{
	{
		Warning: Warning{
			When: "a container that serves without a CPU request",
			Why: "when its node has no CPU time left, it gets almost none (a weight of 2 shares, where one core is 1,024): its probes time out, and it drains " +
				"late ([measured](failure-modes.md#seen-in-the-lab))",
			Instead: "`resources.requests.cpu` of the container or of the pod, or a limit range that sets one",
		},
		find: warnNoCPURequest,
	},
	{
		Warning: Warning{
			When:    "an injected container that ends before t2 is over",
			Why:     "without a preStop hook of t2 it gets SIGTERM at once, and the app behind it still serves",
			Instead: "an injector that makes it a native sidecar, or gives it a preStop `sleep` of t2",
		},
		find: warnInjectedContainer,
	},
	{
		Warning: Warning{
			When:    "an injected proxy of a service mesh, with `drain.mode: Sidecar`",
			Why:     "it may end before the drain sidecar has finished the requests",
			Instead: "exclude the pods from the mesh, or mode Hook",
		},
		find: warnInjectedMesh,
	},
	{
		Warning: Warning{
			When:    "injected native sidecars without room in t3",
			Why:     "they stop one after another after the app has ended",
			Instead: "the `spec.timing.terminationGracePeriodSeconds` that the message names",
		},
		find: warnInjectedSidecars,
	},
	{
		Warning: Warning{
			When:    "a policy that changes the pods' grace period",
			Why:     "their grace period is not t3; with t1 + t2 or less, requests are lost",
			Instead: "exempt the app's pods from the policy, or set a t3 that it does not change",
		},
		find: warnChangedGrace,
	},
	{
		Warning: Warning{
			When:    "a policy that removes a container of the app, or changes its probes, preStop hook, `restartPolicy` or `GRACEFUL_*` variables",
			Why:     "the pods use other numbers than `spec.timing`, or another container answers the probe",
			Instead: "check that the change is harmless, or exempt the app's pods from the policy",
		},
		find: warnChangedContainers,
	},
}

// AdmittedPodWarnings returns warnings about the pods that will really run. admitted is the API server's answer to the dry run of sent.
func (p Plan) AdmittedPodWarnings(sent, admitted corev1.PodSpec) []string {
	var all []string
	for _, w := range podWarnings {
		all = append(all, w.find(admittedPod{Plan: p, sent: sent, admitted: admitted})...)
	}
	return all
}

func warnNoCPURequest(p admittedPod) []string {
	if r := p.admitted.Resources; r != nil && requestsCPU(*r) {
		return nil
	}
	var all []string
	for _, c := range slices.Concat(p.admitted.InitContainers, p.admitted.Containers) {
		if slices.Contains(p.serverNames, c.Name) && !requestsCPU(c.Resources) {
			all = append(all, fmt.Sprintf("container %q serves requests and has no CPU request: when its node has no CPU time left, it gets almost none, its "+
				"probes time out, and it drains late; set resources.requests.cpu", c.Name))
		}
	}
	return all
}

// requestsCPU reports whether a container gets CPU shares. The API server sets a missing request to the limit.
func requestsCPU(r corev1.ResourceRequirements) bool {
	return !r.Requests.Cpu().IsZero() || !r.Limits.Cpu().IsZero()
}
