package plan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// admittedPod is a pod of the app as it is derived, and as the API server admits it: webhooks, policies and limit ranges change it on the way.
type admittedPod struct {
	Plan
	sent, admitted corev1.PodSpec
}

type podCaution struct {
	Warning
	find func(admittedPod) []string
}

// podWarnings are about the pods that will really run.
var podWarnings = []podCaution{
	{
		Warning: Warning{
			When: "a container that serves without a CPU request",
			Why: "when its node has no CPU time left, it gets next to none (a weight of 2 shares, where one core is 1,024): its probes time out, and it drains " +
				"late ([measured](failure-modes.md#seen-in-the-lab))",
			Instead: "`resources.requests.cpu` of the container or of the pod, or a limit range that sets one",
		},
		find: warnNoCPURequest,
	},
}

// AdmittedPod returns warnings about the pods that will really run. admitted is what the API server answers to the dry run of sent.
func (p Plan) AdmittedPod(sent, admitted corev1.PodSpec) []string {
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
		if slices.Contains(p.serving, c.Name) && !requestsCPU(c.Resources) {
			all = append(all, fmt.Sprintf("container %q serves requests and has no CPU request: when its node has no CPU time left, it gets next to none, its "+
				"probes time out, and it drains late; set resources.requests.cpu", c.Name))
		}
	}
	return all
}

// requestsCPU: a limit without a request is one too.
func requestsCPU(r corev1.ResourceRequirements) bool {
	return !r.Requests.Cpu().IsZero() || !r.Limits.Cpu().IsZero()
}
