package controllers

import (
	"encoding/json"
	"fmt"
	"math"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// The operator watches and reads apps as unstructured objects and decodes each of them. The CRD's schema rejects values that Go cannot decode, but an
// object may be older than the schema. A typed LIST would fail because of such an object, and then the operator would stop working for all apps.

// newUnstructuredApp returns an empty GracefulApp in unstructured form.
func newUnstructuredApp() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("GracefulApp"))
	return object
}

// decodedApp is an app in typed form. If its spec cannot be decoded, errs is not empty.
type decodedApp struct {
	app  *v1alpha1.GracefulApp
	errs field.ErrorList
}

// decode returns the typed app. If the spec cannot be decoded, it returns an error and an app that has only the metadata, the status and the
// replicas, so that the operator can report the error and continue to scale the app.
func decode(stored *unstructured.Unstructured) (*v1alpha1.GracefulApp, field.ErrorList) {
	app := &v1alpha1.GracefulApp{}
	data, err := jsonOf(stored)
	if err == nil {
		err = json.Unmarshal(data, app) // it fails on a number that overflows its Go type
	}
	if err == nil {
		return app, nil
	}
	var content map[string]any
	_ = utiljson.Unmarshal(data, &content) // the API server has sent it as JSON
	app = &v1alpha1.GracefulApp{}
	if plan.Convert(map[string]any{"metadata": content["metadata"], "status": content["status"]}, app) != nil {
		app = &v1alpha1.GracefulApp{ObjectMeta: metav1.ObjectMeta{
			Name: stored.GetName(), Namespace: stored.GetNamespace(), UID: stored.GetUID(), Generation: stored.GetGeneration(),
			ResourceVersion: stored.GetResourceVersion(),
		}}
	}
	if n, ok, _ := unstructured.NestedInt64(content, "spec", "replicas"); ok && n >= 0 && n <= math.MaxInt32 {
		app.Spec.Replicas = new(int32(n))
	}
	return app, field.ErrorList{field.Invalid(field.NewPath("spec"), field.OmitValueType{}, fmt.Sprintf(
		"the stored spec has a value that the CRD's schema no longer allows: %v; correct the manifest and apply it again", err))}
}
