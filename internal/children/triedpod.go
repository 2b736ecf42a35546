package children

import (
	"encoding/json"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// triedHash has the form of the hash by which a Deployment names its ReplicaSets.
const triedHash = "6b8d9c7f4b"

// triedPod is a pod as a ReplicaSet of the Deployment creates it, for a dry run: policies that forbid bare pods ask for the owner or its label.
func triedPod(p plan.Plan) (*corev1.Pod, error) {
	pod, err := podOf(p)
	if err != nil {
		return nil, err
	}
	replicaSet := *p.Deployment.Name + "-" + triedHash
	pod.Namespace, pod.GenerateName = *p.Deployment.Namespace, replicaSet+"-"
	pod.Labels = labels.Merge(pod.Labels, labels.Set{appsv1.DefaultDeploymentUniqueLabelKey: triedHash})
	// Without blockOwnerDeletion: where OwnerReferencesPermissionEnforcement is on, it takes the permission to update finalizers of ReplicaSets.
	pod.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "ReplicaSet", Name: replicaSet, UID: uuid.NewUUID(), Controller: new(true),
	}}
	return pod, nil
}

// podOf is a pod made from the planned template, without a name.
func podOf(p plan.Plan) (*corev1.Pod, error) {
	data, err := json.Marshal(p.Deployment.Spec.Template)
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{}
	return pod, json.Unmarshal(data, pod)
}
