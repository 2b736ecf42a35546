package plan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// drainStatus returns the status of the drain sidecar, nil in mode Hook.
func (in *input) drainStatus() *v1alpha1.DrainStatus {
	if !in.drainsBySidecar() {
		return nil
	}
	status := &v1alpha1.DrainStatus{Mode: v1alpha1.DrainModeSidecar, Image: in.drainImage(), PodsWithoutSidecar: in.podsWithoutSidecar()}
	if image := in.running.DrainProxy.Image; image != "" && image != status.Image {
		status.AvailableImage = image
		status.Message = fmt.Sprintf("the operator has the image %s; to replace the pods by pods with it, run: kubectl annotate gracefulapp %s -n %s %s=%s --overwrite",
			image, in.app.Name, in.app.Namespace, v1alpha1.AnnotationDrainImage, image)
	}
	return status
}

// podsWithoutSidecar returns the number of pods that a template without sidecar has made. The Deployment shows only how many pods its newest template has
// made, so after two changes in a row the number may be too high until the rollout has finished.
func (in *input) podsWithoutSidecar() int32 {
	d, last := in.running.Deployment, in.app.Status.Drain
	switch {
	case d == nil:
		return 0
	case in.running.liveDrainContainer() == nil:
		return d.Status.Replicas
	case d.Status.ObservedGeneration < d.Generation && last != nil: // the numbers are about an older template
		return last.PodsWithoutSidecar
	case in.paused(): // the Deployment creates pods from an older template
		return d.Status.Replicas - d.Status.UpdatedReplicas
	case in.running.isRolledOut() || last != nil && last.PodsWithoutSidecar == 0:
		return 0
	}
	return max(0, d.Status.Replicas-d.Status.UpdatedReplicas)
}

// drainBypass says how requests get past the drain sidecar in the live Deployment, or returns "". The endpoint controller looks the name of a port up in the
// containers first, and another client or an admission webhook may add one.
func (in *input) drainBypass() string {
	sidecar := in.running.liveDrainContainer()
	if !in.drainsBySidecar() || sidecar == nil {
		return ""
	}
	for _, c := range in.running.Deployment.Spec.Template.Spec.Containers {
		for _, p := range c.Ports {
			if in.isTarget(p) && protocol(p.Protocol) == corev1.ProtocolTCP && slices.ContainsFunc(sidecar.Ports, func(q corev1.ContainerPort) bool { return q.Name == p.Name }) {
				return fmt.Sprintf("requests bypass the drain sidecar, because another client or an admission webhook has given container %q of Deployment %s a port "+
					"named %q; remove the port, or rename it", c.Name, in.app.Name, p.Name)
			}
		}
	}
	return ""
}

// DrainEnd returns how the drain sidecar of a pod ended, or nil if it has not ended.
func DrainEnd(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	for _, c := range pod.Status.InitContainerStatuses {
		if c.Name == drainContainer {
			return c.State.Terminated
		}
	}
	return nil
}
