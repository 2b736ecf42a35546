package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

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

// PodLabels are the labels that the app's pods bear. The user's value wins, and a check refuses one that contradicts the selector.
func PodLabels(app *v1alpha1.GracefulApp) map[string]string {
	return withDefaults(app.Spec.Template.Labels, SelectorLabels(app))
}

// commonLabels and commonAnnotations are those of every owned object. The operator's own win over those of spec.commonMetadata.
func (in *input) commonLabels() map[string]string {
	return withDefaults(map[string]string{nameLabel: in.app.Name, managedByLabel: managedBy}, in.spec().CommonMetadata.Labels)
}

func (in *input) commonAnnotations(own map[string]string) map[string]string {
	return withDefaults(own, in.spec().CommonMetadata.Annotations)
}

// warnReservedLabels names the labels of spec.commonMetadata that have no effect.
func warnReservedLabels(in *input) []string {
	own := map[string]string{nameLabel: in.app.Name, managedByLabel: managedBy}
	var all []string
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if written, ok := in.spec().CommonMetadata.Labels[key]; ok && written != own[key] {
			all = append(all, fmt.Sprintf("spec.commonMetadata.labels[%s] has no effect: the operator sets this label to %q; leave it out", key, own[key]))
		}
	}
	return all
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

// withDefaults returns the values and, for keys that they do not have, the defaults.
func withDefaults(values, defaults map[string]string) map[string]string {
	all := maps.Clone(defaults)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, values)
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
