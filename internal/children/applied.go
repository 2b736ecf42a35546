package children

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/applyconfigurations"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

var typeConverter = applyconfigurations.NewTypeConverter(clientgoscheme.Scheme)

// lastApplied returns the configuration that the operator applied last, without the fields that another manager has overwritten since. It reads them from
// metadata.managedFields. The object must have its kind set. client-go's Extract functions do the same, but fail on duplicate list entries.
func lastApplied(object client.Object) (runtime.ApplyConfiguration, error) {
	gvk := object.GetObjectKind().GroupVersionKind()
	configuration, err := emptyConfiguration(gvk.Kind)
	if err != nil {
		return nil, err
	}
	value, err := typeConverter.ObjectToTyped(object, typed.AllowDuplicates)
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", gvk.Kind, object.GetName(), err)
	}
	fields, err := appliedFields(object.GetManagedFields())
	if err != nil {
		return nil, fmt.Errorf("reading the managed fields of %s %s: %w", gvk.Kind, object.GetName(), err)
	}
	content, _ := value.ExtractItems(fields.Leaves()).AsValue().Unstructured().(map[string]any)
	extracted := unstructured.Unstructured{Object: content}
	if content == nil {
		extracted.Object = map[string]any{}
	}
	extracted.SetGroupVersionKind(gvk)
	extracted.SetName(object.GetName())
	extracted.SetNamespace(object.GetNamespace())
	return configuration, runtime.DefaultUnstructuredConverter.FromUnstructured(extracted.Object, configuration)
}

// emptyConfiguration returns an empty apply configuration for a kind that the operator applies.
func emptyConfiguration(kind string) (runtime.ApplyConfiguration, error) {
	switch kind {
	case serviceKind:
		return &corev1ac.ServiceApplyConfiguration{}, nil
	case deploymentKind:
		return &appsv1ac.DeploymentApplyConfiguration{}, nil
	case disruptionBudgetKind:
		return &policyv1ac.PodDisruptionBudgetApplyConfiguration{}, nil
	}
	return nil, fmt.Errorf("the operator does not apply objects of kind %q", kind)
}

// appliedFields returns the fields that the operator owns. They include spec.replicas unless another manager has set it: the operator writes
// it through the scale subresource, which records no owner if the value is zero.
func appliedFields(entries []metav1.ManagedFieldsEntry) (*fieldpath.Set, error) {
	fields := &fieldpath.Set{}
	if i := slices.IndexFunc(entries, plan.IsApplied); i >= 0 {
		var err error
		if fields, err = fieldsOf(entries[i]); err != nil {
			return nil, err
		}
	}
	if scalerOf(entries) == "" {
		fields.Insert(replicasPath)
	}
	return fields, nil
}
