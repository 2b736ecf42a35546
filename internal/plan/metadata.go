package plan

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

const (
	// nameLabel holds the app's name. Every owned object has it, and the pods have it unless the spec sets a selector.
	nameLabel = "apps.gracefulapp.dev/name"
	// DrainLabel holds the app's name. The pods with a drain sidecar have it: the operator watches these pods, and no others.
	DrainLabel = "apps.gracefulapp.dev/drain-sidecar"
	// managedByLabel is the label that Kubernetes recommends for the tool that keeps an object.
	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "gracefulapp"
)

// selectorLabels select the app's pods. Deployment, Service and PodDisruptionBudget use the same ones.
func (in *input) selectorLabels() map[string]string { return SelectorLabels(in.app) }

// SelectorLabels select the app's pods. The status shows them too, even if the rest of the spec is invalid.
func SelectorLabels(app *v1alpha1.GracefulApp) map[string]string {
	if app.Spec.Selector != nil {
		return app.Spec.Selector.MatchLabels
	}
	return map[string]string{nameLabel: app.Name}
}

// PodLabels returns the labels of the app's pods. The user's value wins, and a check refuses one that contradicts the selector.
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

func podTemplateConfiguration(template *corev1.PodTemplateSpec) (*corev1ac.PodTemplateSpecApplyConfiguration, error) {
	configuration := &corev1ac.PodTemplateSpecApplyConfiguration{}
	return configuration, Convert(template, configuration)
}
