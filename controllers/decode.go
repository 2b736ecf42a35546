package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Apps are watched and read as they are stored, and decoded one by one. The CRD's schema lets nothing pass that Go cannot decode, but an
// object may be older than the schema; a typed LIST would fail on it, and the operator with it for every app of the cluster.

func storedApp() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("GracefulApp"))
	return object
}

// decode reads an app; of one that cannot be decoded, what is needed to say so and to keep scaling it.
func decode(stored *unstructured.Unstructured) (*v1alpha1.GracefulApp, field.ErrorList) {
	app := &v1alpha1.GracefulApp{}
	err := throughJSON(stored.Object, app)
	if err == nil {
		return app, nil
	}
	app = &v1alpha1.GracefulApp{}
	if throughJSON(map[string]any{"metadata": stored.Object["metadata"], "status": stored.Object["status"]}, app) != nil {
		app = &v1alpha1.GracefulApp{ObjectMeta: metav1.ObjectMeta{
			Name: stored.GetName(), Namespace: stored.GetNamespace(), UID: stored.GetUID(), Generation: stored.GetGeneration(),
		}}
	}
	if n, ok, _ := unstructured.NestedInt64(stored.Object, "spec", "replicas"); ok && n >= 0 && n <= math.MaxInt32 {
		app.Spec.Replicas = new(int32(n))
	}
	return app, field.ErrorList{field.Invalid(field.NewPath("spec"), field.OmitValueType{}, fmt.Sprintf(
		"the stored spec has a value that the CRD's schema no longer allows: %v; correct the manifest and apply it again", err))}
}

// throughJSON fails on a number that does not fit, where runtime's converter would cut it to size.
func throughJSON(object map[string]any, app *v1alpha1.GracefulApp) error {
	data, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, app)
}

// decodedApps of a namespace, without those that cannot be decoded.
func decodedApps(ctx context.Context, reader client.Reader, namespace string) ([]*v1alpha1.GracefulApp, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("GracefulAppList"))
	if err := reader.List(ctx, list, client.InNamespace(namespace)); err != nil {
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
