package controllers

import (
	"context"
	"maps"
	"slices"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// podLabelIndex is the name of the index of apps by the labels of their pods. Without it, each event of a PodDisruptionBudget would decode every app of the
// namespace, 517 ms for 4,000 apps. The manager ends unless it handles the events of its first list within two minutes (CacheSyncTimeout).
const podLabelIndex = "podLabels"

// podLabelKeys returns the keys of an app in the index, LABEL=VALUE for each label of its pods. The cache calls it once for each stored revision.
func podLabelKeys(object client.Object) []string {
	stored, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	app, errs := decode(stored)
	if len(errs) > 0 {
		return nil
	}
	var keys []string
	for label, value := range plan.PodLabels(app) {
		keys = append(keys, label+"="+value)
	}
	return keys
}

// appsOfDisruptionBudget maps a PodDisruptionBudget to the app of its name and to every app with pods that it selects.
func (r *GracefulAppReconciler) appsOfDisruptionBudget(ctx context.Context, object client.Object) []reconcile.Request {
	requests := []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(object)}}
	budget, ok := object.(*policyv1.PodDisruptionBudget)
	if !ok {
		return requests
	}
	apps, err := r.appsMaybeSelected(ctx, budget)
	if err != nil {
		log.FromContext(ctx).Error(err, "Could not list the apps that a PodDisruptionBudget may select")
		return requests
	}
	for _, app := range apps {
		if app.Name != budget.Name && children.Selects(budget, app) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(app)})
		}
	}
	return requests
}

// appsMaybeSelected returns the apps with the first label that the PodDisruptionBudget requires, and all apps of the namespace if it requires no label. Without a
// selector it selects no pod. Apps that cannot be decoded are left out.
func (r *GracefulAppReconciler) appsMaybeSelected(ctx context.Context, budget *policyv1.PodDisruptionBudget) ([]*v1alpha1.GracefulApp, error) {
	selector := budget.Spec.Selector
	if selector == nil {
		return nil, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("GracefulAppList"))
	options := []client.ListOption{client.InNamespace(budget.Namespace)}
	if len(selector.MatchLabels) > 0 {
		label := slices.Min(slices.Collect(maps.Keys(selector.MatchLabels)))
		options = append(options, client.MatchingFields{podLabelIndex: label + "=" + selector.MatchLabels[label]})
	}
	if err := r.List(ctx, list, options...); err != nil {
		return nil, err
	}
	var apps []*v1alpha1.GracefulApp
	for i := range list.Items {
		if app, errs := decode(&list.Items[i]); len(errs) == 0 {
			apps = append(apps, app)
		}
	}
	return apps, nil
}
