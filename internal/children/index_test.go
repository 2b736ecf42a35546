package children

import (
	"context"
	"fmt"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// indexer adds the indexes of IndexFields to a fake client.
type indexer struct{ *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.WithIndex(object, field, extract)
	return nil
}

func budgetOf(name string, selector *metav1.LabelSelector) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: policyv1.PodDisruptionBudgetSpec{Selector: selector},
	}
}

// Regression test: each reconcile read every PodDisruptionBudget and every autoscaler of the namespace, so the cost of an app grew with the number of
// apps beside it.
func TestObserveReadsOnlyObjectsThatMayAffectTheApp(t *testing.T) {
	const neighbors = 100
	builder := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme)
	if err := IndexFields(t.Context(), indexer{builder}); err != nil {
		t.Fatal(err)
	}
	for i := range neighbors {
		name := fmt.Sprintf("app-%d", i)
		builder.WithObjects(budgetOf(name, &metav1.LabelSelector{MatchLabels: map[string]string{"apps.gracefulapp.dev/name": name}}),
			&autoscalingv2.HorizontalPodAutoscaler{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
				Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
					ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
				},
			})
	}
	reader := builder.Build()
	for _, tc := range []struct {
		name     string
		selector *metav1.LabelSelector
		want     string
	}{
		{name: "a label of the template", selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "web"}}, want: "foreign"},
		{name: "two labels", selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "web", "apps.gracefulapp.dev/name": "app-7"}}, want: "foreign"},
		{name: "one of two labels", selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "web", "other": "x"}}},
		{name: "another value", selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "batch"}}},
		{name: "an expression", want: "foreign", selector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: metav1.LabelSelectorOpExists}},
		}},
		{name: "every pod", selector: &metav1.LabelSelector{}, want: "foreign"},
		{name: "no pod", selector: nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			foreign := budgetOf("foreign", tc.selector)
			if err := reader.Create(t.Context(), foreign); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := reader.Delete(t.Context(), foreign); err != nil {
					t.Error(err)
				}
			}()
			read := 0
			counting := interceptor.NewClient(reader, interceptor.Funcs{
				List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
					err := c.List(ctx, list, opts...)
					read += meta.LenList(list)
					return err
				},
			})
			app := testapp.New(testapp.Name("default", "app-7"), func(app *v1alpha1.GracefulApp) {
				app.UID, app.Spec.Template.Labels = "1", map[string]string{"tier": "web"}
			})
			// The app's own budget has no owner reference here, so it would be a foreign one too.
			app.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
			o, err := Observe(t.Context(), Reader{Cache: counting, Live: reader}, app)
			if err != nil || o.ForeignDisruptionBudget != tc.want || o.Autoscaler != "app-7" {
				t.Errorf("budget %q, autoscaler %q, error %v; want budget %q and autoscaler app-7", o.ForeignDisruptionBudget, o.Autoscaler, err, tc.want)
			}
			if read > 3 {
				t.Errorf("read %d objects; only the app's own budget and autoscaler and the foreign budget may affect it", read)
			}
		})
	}
}
