package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

func unstructuredOf(t *testing.T, app *v1alpha1.GracefulApp) *unstructured.Unstructured {
	t.Helper()
	object := newUnstructuredApp()
	if err := plan.Convert(app, &object.Object); err != nil {
		t.Fatal(err)
	}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("GracefulApp"))
	return object
}

// The cache holds apps in another form, from which the operator must read the same.
func TestAPackedAppIsTheSameApp(t *testing.T) {
	selector := testapp.New(testapp.Everything)
	selector.Spec.Selector = &v1alpha1.Selector{MatchLabels: map[string]string{"app": "hello"}}
	for name, app := range map[string]*v1alpha1.GracefulApp{
		"minimal": testapp.New(), "everything": testapp.New(testapp.Everything), "selector": selector,
	} {
		object := unstructuredOf(t, app)
		want, errs := decode(object)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		labels := podLabels(object)
		for _, step := range []string{"packed", "packed again"} {
			packed, err := packApp(object)
			if err != nil {
				t.Fatal(err)
			}
			got, errs := decode(packed.(*unstructured.Unstructured))
			if diff := cmp.Diff(want, got); diff != "" || len(errs) > 0 {
				t.Errorf("%s, %s: %v %s", name, step, errs, diff)
			}
			if diff := cmp.Diff(labels, podLabels(object)); diff != "" {
				t.Errorf("%s, %s: labels of the pods: %s", name, step, diff)
			}
			if _, ok := object.Object["status"]; ok {
				t.Errorf("%s, %s: the status is not packed", name, step)
			}
		}
	}
}

func TestAPackedAppThatCannotBeDecodedKeepsItsReplicas(t *testing.T) {
	object := unstructuredOf(t, testapp.New())
	for _, field := range []struct {
		value int64
		path  []string
	}{{value: 7, path: []string{"spec", "replicas"}}, {value: 1 << 40, path: []string{"spec", "timing", "requestSeconds"}}} {
		if err := unstructured.SetNestedField(object.Object, field.value, field.path...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := packApp(object); err != nil {
		t.Fatal(err)
	}
	app, errs := decode(object)
	if len(errs) != 1 || app.Spec.Replicas == nil || *app.Spec.Replicas != 7 || app.Name != "hello" {
		t.Errorf("%v, %+v", errs, app)
	}
}
