package children

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// podKind is the kind of a dry run's pod in messages. The operator owns no pods.
const podKind = "Pod"

// dryRunHash looks like the pod template hash in the names of ReplicaSets.
const dryRunHash = "6b8d9c7f4b"

// dryRunPod returns a pod for a dry run. It looks like a pod that a ReplicaSet of the Deployment creates, because policies that forbid bare pods
// check the owner reference or the label.
func dryRunPod(p plan.Plan) (*corev1.Pod, error) {
	pod, err := podOf(p)
	if err != nil {
		return nil, err
	}
	replicaSet := *p.Deployment.Name + "-" + dryRunHash
	pod.Namespace, pod.GenerateName = *p.Deployment.Namespace, replicaSet+"-"
	pod.Labels = labels.Merge(pod.Labels, labels.Set{appsv1.DefaultDeploymentUniqueLabelKey: dryRunHash})
	// blockOwnerDeletion is left out: with the admission plugin OwnerReferencesPermissionEnforcement, it requires the permission to update finalizers
	// of ReplicaSets.
	pod.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "ReplicaSet", Name: replicaSet, UID: uuid.NewUUID(), Controller: new(true),
	}}
	return pod, nil
}

// podOf returns a pod made from the planned template, without a name.
func podOf(p plan.Plan) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	return pod, plan.Convert(p.Deployment.Spec.Template, pod)
}
