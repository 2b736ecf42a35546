package plan

import (
	"encoding/json"
	"maps"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

const (
	// nameLabel carries the app's name: on every child, and on the pods unless the spec has a selector of its own.
	nameLabel = "apps.gracefulapp.dev/name"
	// managedByLabel is the label that Kubernetes recommends for the tool that keeps an object.
	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "gracefulapp"
)

// selectorLabels choose the app's pods, for Deployment, Service and PodDisruptionBudget alike.
func (in *input) selectorLabels() map[string]string { return SelectorLabels(in.app) }

// SelectorLabels choose the app's pods; the status shows them too, whatever the verdict on the rest of the spec.
func SelectorLabels(app *v1alpha1.GracefulApp) map[string]string {
	if app.Spec.Selector != nil {
		return app.Spec.Selector.MatchLabels
	}
	return map[string]string{nameLabel: app.Name}
}

// PodLabels are the labels that the app's pods bear.
func PodLabels(app *v1alpha1.GracefulApp) map[string]string {
	return withLabels(app.Spec.Template.Labels, SelectorLabels(app))
}

func (in *input) childLabels() map[string]string {
	return map[string]string{nameLabel: in.app.Name, managedByLabel: managedBy}
}

func (in *input) ownerReference() *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).
		WithKind("GracefulApp").
		WithName(in.app.Name).
		WithUID(in.app.UID).
		WithController(true).
		WithBlockOwnerDeletion(true)
}

func (in *input) selector() *metav1ac.LabelSelectorApplyConfiguration {
	return metav1ac.LabelSelector().WithMatchLabels(in.selectorLabels())
}

// withLabels adds more to labels that the user wrote; the user's value wins, and a check refuses one that contradicts.
func withLabels(labels, more map[string]string) map[string]string {
	all := maps.Clone(more)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, labels)
	return all
}

// podTemplateConfiguration goes through JSON, as the apply configuration is the same schema with every field a pointer.
func podTemplateConfiguration(template *corev1.PodTemplateSpec) (*corev1ac.PodTemplateSpecApplyConfiguration, error) {
	configuration := &corev1ac.PodTemplateSpecApplyConfiguration{}
	return configuration, throughJSON(template, configuration)
}

func throughJSON(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}
