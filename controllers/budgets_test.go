package controllers

import (
	"context"
	"fmt"
	"slices"
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Regression test: each event of a PodDisruptionBudget decoded every app of the namespace. With many apps the cache of PodDisruptionBudgets did not sync in
// time, and the manager ended after each restart.
func TestAnEventOfABudgetReadsOnlyTheAppsThatItMaySelect(t *testing.T) {
	const apps, namespace = 100, "default"
	scheme := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	builder := fake.NewClientBuilder().WithScheme(scheme).WithIndex(newUnstructuredApp(), podLabelIndex, podLabelKeys)
	for i := range apps {
		app := newUnstructuredApp()
		app.SetNamespace(namespace)
		app.SetName(fmt.Sprintf("app-%d", i))
		tier := []string{"web", "batch"}[i%2]
		if err := unstructured.SetNestedField(app.Object, tier, "spec", "template", "metadata", "labels", "tier"); err != nil {
			t.Fatal(err)
		}
		builder.WithObjects(app)
	}
	read := 0
	reader := builder.WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			err := c.List(ctx, list, options...)
			read += len(list.(*unstructured.UnstructuredList).Items)
			return err
		},
	}).Build()
	r := &GracefulAppReconciler{Client: reader}

	for _, tc := range []struct {
		name         string
		selector     *metav1.LabelSelector
		wantRequests int // besides the app of the budget's name
		wantRead     int
	}{
		{name: "an app's own", selector: &metav1.LabelSelector{MatchLabels: map[string]string{"apps.gracefulapp.dev/name": "app-7"}}, wantRequests: 1, wantRead: 1},
		{name: "a label of half of the apps", selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "web"}}, wantRequests: 50, wantRead: 50},
		{name: "no app's label", selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "none"}}},
		{name: "every pod", selector: &metav1.LabelSelector{}, wantRequests: apps, wantRead: apps},
		{name: "no pod", selector: nil},
		{name: "an expression", selector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "tier", Operator: metav1.LabelSelectorOpIn, Values: []string{"web"}},
		}}, wantRequests: 50, wantRead: apps},
	} {
		t.Run(tc.name, func(t *testing.T) {
			read = 0
			budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "budget"},
				Spec: policyv1.PodDisruptionBudgetSpec{Selector: tc.selector}}
			requests := r.appsOfDisruptionBudget(t.Context(), budget)
			if len(requests) != 1+tc.wantRequests || !slices.ContainsFunc(requests, func(q reconcile.Request) bool { return q.Name == "budget" }) {
				t.Errorf("%d requests, want the app of the budget's name and %d more", len(requests), tc.wantRequests)
			}
			if read != tc.wantRead {
				t.Errorf("read %d apps, want %d", read, tc.wantRead)
			}
		})
	}
}
