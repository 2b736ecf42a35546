package controllers

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/gracefulapp/gracefulapp/internal/children"
)

// CacheOptions returns the options of the manager's cache for the given namespaces, or for all if none is given. The cache keeps only what the
// operator reads.
func CacheOptions(namespaces ...string) cache.Options {
	// An entry for GracefulApps in ByObject would stop the manager at once if the CRD is not installed yet.
	return cache.Options{ByObject: children.CacheByObject(), DefaultTransform: packApp, DefaultNamespaces: namespaceConfigs(namespaces)}
}

// namespaceConfigs returns the cache's settings of the namespaces, nil for all namespaces.
func namespaceConfigs(namespaces []string) map[string]cache.Config {
	if len(namespaces) == 0 {
		return nil
	}
	all := map[string]cache.Config{}
	for _, namespace := range namespaces {
		all[namespace] = cache.Config{}
	}
	return all
}

// relevantChanges ignores updates of an object that change nothing that the operator reads, for example the status of a PodDisruptionBudget.
func relevantChanges() builder.Predicates {
	return builder.WithPredicates(predicate.Funcs{UpdateFunc: func(e ctrlevent.UpdateEvent) bool {
		return isReadForAdoption(e.ObjectNew) || !apiequality.Semantic.DeepEqual(withoutVersion(e.ObjectOld), withoutVersion(e.ObjectNew))
	}})
}

// isReadForAdoption reports whether an app may wait until it can adopt the object. Then it reads more of the object than the cache keeps.
func isReadForAdoption(object client.Object) bool {
	switch object.(type) {
	case *appsv1.Deployment, *corev1.Service:
		return metav1.GetControllerOfNoCopy(object) == nil
	}
	return false
}

// withoutVersion returns a copy without the values that every write changes.
func withoutVersion(object client.Object) client.Object {
	object = object.DeepCopyObject().(client.Object)
	object.SetResourceVersion("")
	var fields []metav1.ManagedFieldsEntry
	for _, entry := range object.GetManagedFields() {
		if entry.Subresource != "status" {
			fields = append(fields, entry)
		}
	}
	object.SetManagedFields(fields)
	return object
}
