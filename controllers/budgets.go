package controllers

import (
	"context"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// podLabelIndex is the name of the index of apps by the labels of their pods. Without it, each event of a PodDisruptionBudget would read every app of the
// namespace. The manager ends unless it handles the events of its first list within two minutes (CacheSyncTimeout).
const podLabelIndex = "podLabels"

// podLabelKeys returns the keys of an app in the index, one for each label of its pods.
func podLabelKeys(object client.Object) []string {
	var keys []string
	for key, value := range podLabels(object) {
		keys = append(keys, children.LabelKey(key, value))
	}
	return keys
}

// podLabelPaths are the paths of the fields that podLabels reads.
var podLabelPaths = [][]string{{"spec", "template", "metadata", "labels"}, {"spec", "selector", "matchLabels"}}

// podLabels returns the labels of an app's pods. It decodes only the fields that determine them, so it also works if the spec cannot be decoded.
func podLabels(object client.Object) labels.Set {
	stored, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	app := &v1alpha1.GracefulApp{}
	app.Name = stored.GetName()
	app.Spec.Template.Labels, _, _ = unstructured.NestedStringMap(stored.Object, podLabelPaths[0]...)
	if selector, ok, _ := unstructured.NestedStringMap(stored.Object, podLabelPaths[1]...); ok {
		app.Spec.Selector = &v1alpha1.Selector{MatchLabels: selector}
	}
	return plan.PodLabels(app)
}

// appsOfDisruptionBudget maps a PodDisruptionBudget to the app of its name and to every app with pods that it selects.
func (r *GracefulAppReconciler) appsOfDisruptionBudget(ctx context.Context, object client.Object) []reconcile.Request {
	requests := []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(object)}}
	budget, ok := object.(*policyv1.PodDisruptionBudget)
	if !ok || budget.Spec.Selector == nil { // it selects no pod
		return requests
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("GracefulAppList"))
	options := []client.ListOption{client.InNamespace(budget.Namespace), client.UnsafeDisableDeepCopy}
	if label := children.RequiredLabel(budget.Spec.Selector); label != children.NoRequiredLabel {
		options = append(options, client.MatchingFields{podLabelIndex: label})
	}
	if err := r.List(ctx, list, options...); err != nil {
		log.FromContext(ctx).Error(err, "Could not list the apps that a PodDisruptionBudget may select")
		return requests
	}
	for i := range list.Items {
		app := &list.Items[i]
		if app.GetName() != budget.Name && children.Selects(budget, podLabels(app)) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(app)})
		}
	}
	return requests
}
