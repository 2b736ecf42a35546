package children

import (
	"context"
	"errors"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// podKind is the kind of a dry run's pod in messages. The operator owns no pods.
const podKind = "Pod"

// dryRunHash looks like the pod template hash in the names of ReplicaSets.
const dryRunHash = "6b8d9c7f4b"

// createPodDryRun makes a dry run of the creation of a pod. It returns the warnings about what the API server changed in it, and the API server's own.
func createPodDryRun(ctx context.Context, api client.Client, p plan.Plan) ([]string, error) {
	pod, err := dryRunPod(p)
	if err != nil {
		return nil, err
	}
	sent := pod.DeepCopy()
	ctx, given := collectWarnings(ctx)
	if err := api.Create(ctx, pod, client.DryRunAll, client.FieldOwner(plan.FieldManager)); err != nil {
		return nil, withoutRandomName(err, sent.GenerateName, *p.Deployment.Name)
	}
	warnings := p.AdmittedPodWarnings(sent.Spec, pod.Spec)
	for _, text := range given.texts {
		warnings = append(warnings, "the API server warns about the pods: "+p.PodWarning(text))
	}
	return warnings, nil
}

// maxGeneratedPrefix is the longest part of generateName that the API server uses (MaxGeneratedNameLength in k8s.io/apiserver).
const maxGeneratedPrefix = 58

// withoutRandomName replaces the pod's name in the error by the name of the app. The API server generates a name for each dry run, and the same apply must
// print the same text.
func withoutRandomName(err error, generateName, name string) error {
	known := apierrors.APIStatus(nil)
	if !errors.As(err, &known) || known.Status().Details == nil {
		return err
	}
	generated := known.Status().Details.Name
	if !strings.HasPrefix(generated, generateName[:min(len(generateName), maxGeneratedPrefix)]) {
		return err
	}
	return withOriginalName(err, generated, name)
}

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
