package plan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkContainerRestart: a ReplicaSet replaces a pod that has failed, but not one in which a single container has ended permanently. Such a pod runs on
// and is never Ready. An init container may have any policy: it ends before the pod serves, and if it fails permanently, the pod fails too.
func checkContainerRestart(in *input) field.ErrorList {
	var errs field.ErrorList
	for i, c := range in.spec().Template.Spec.Containers {
		if p := c.RestartPolicy; p != nil && *p != corev1.ContainerRestartPolicyAlways {
			errs = append(errs, field.Forbidden(containerPath.Index(i).Child("restartPolicy"), fmt.Sprintf(
				"with %q the container may end permanently, and while another one runs, its pod is never Ready and never replaced; write Always, or leave "+
					"restartPolicy and restartPolicyRules out", *p)))
		}
	}
	return errs
}

// warnInitRestart: the kubelet lets the pod fail, and the ReplicaSet creates the next one at once.
func warnInitRestart(in *input) []string {
	var all []string
	for _, c := range in.spec().Template.Spec.InitContainers {
		if p := c.RestartPolicy; p != nil && *p == corev1.ContainerRestartPolicyNever {
			all = append(all, fmt.Sprintf("init container %q has restartPolicy Never: each time it fails, its pod stays as failed, and the next one is "+
				"created without a backoff; leave it out", c.Name))
		}
	}
	return all
}

// warnRestartOfAll: the kubelet kills the other containers with a grace period of 0 (KEP-5532), so no hook runs and no request ends.
func warnRestartOfAll(in *input) []string {
	pod := in.spec().Template.Spec
	var all []string
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		if slices.ContainsFunc(c.RestartPolicyRules, func(r corev1.ContainerRestartRule) bool {
			return r.Action == corev1.ContainerRestartRuleActionRestartAllContainers
		}) {
			all = append(all, fmt.Sprintf("container %q has a restart rule RestartAllContainers: when it applies, the kubelet kills all containers of the pod "+
				"without a grace period, and their requests are lost; leave the rule out", c.Name))
		}
	}
	return all
}
