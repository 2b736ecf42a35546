package children

import (
	"cmp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StuckPod is the pod that best shows why an app has too few available pods. The zero value means that no pod is stuck.
type StuckPod struct {
	Pod string
	// Reason says why the pod is not ready, as the scheduler or the kubelet reports it.
	Reason string
	// Others is the number of the other pods that are stuck.
	Others int
}

type candidate struct {
	*corev1.Pod
	reason
	// replicaSetSince is the creation time of the oldest pod of the ReplicaSet. It approximates the creation time of the ReplicaSet.
	replicaSetSince time.Time
}

// FindStuckPod returns one of the stuck pods. It prefers failing pods to slow ones, then the newest ReplicaSet, then the oldest pod. So it returns
// the same pod until that pod recovers or is deleted, and the status does not alternate. A pod is slow if it is not ready after the startup budget.
func FindStuckPod(deployment string, pods []corev1.Pod, budget time.Duration, now time.Time) StuckPod {
	since := map[string]time.Time{}
	var stuck []candidate
	for i := range pods {
		pod := &pods[i]
		owner := metav1.GetControllerOfNoCopy(pod)
		if !isPodOf(deployment, pod, owner) || !isActive(pod) {
			continue
		}
		if first, ok := since[owner.Name]; !ok || pod.CreationTimestamp.Time.Before(first) {
			since[owner.Name] = pod.CreationTimestamp.Time
		}
		if why := reasonOf(pod, budget, now); why.text != "" {
			stuck = append(stuck, candidate{Pod: pod, reason: why})
		}
	}
	if len(stuck) == 0 {
		return StuckPod{}
	}
	for i := range stuck {
		stuck[i].replicaSetSince = since[metav1.GetControllerOfNoCopy(stuck[i]).Name]
	}
	first := slices.MinFunc(stuck, byImportance)
	return StuckPod{Pod: first.Name, Reason: first.text, Others: len(stuck) - 1}
}

func byImportance(a, b candidate) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), b.replicaSetSince.Compare(a.replicaSetSince),
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
}

// isPodOf reports whether a ReplicaSet of the Deployment created the pod. The Deployment controller names a ReplicaSet after the Deployment and the
// hash of the pod template. Labels alone are not enough, because any pod can have the same ones.
func isPodOf(deployment string, pod *corev1.Pod, owner *metav1.OwnerReference) bool {
	return owner != nil && owner.Kind == "ReplicaSet" && owner.Name == deployment+"-"+pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
}

// isActive reports whether the ReplicaSet counts the pod. It replaces pods that are terminating, failed or succeeded.
func isActive(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}
