package children

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// answering returns a client whose API server accepts every write. As a real client does, it writes the answer into the object that it sends: the new
// resource version, and a label that a policy adds.
func answering() client.Client {
	answer := func(object any) error {
		content := map[string]any{}
		if err := plan.Convert(object, &content); err != nil {
			return err
		}
		err := errors.Join(unstructured.SetNestedField(content, "2", "metadata", "resourceVersion"),
			unstructured.SetNestedField(content, "policy", "metadata", "labels", "added-by"))
		return errors.Join(err, plan.Convert(content, object))
	}
	return interceptor.NewClient(fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).Build(), interceptor.Funcs{
		Apply: func(_ context.Context, _ client.WithWatch, object runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
			return answer(object)
		},
		Create: func(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.CreateOption) error {
			return answer(object)
		},
		Patch: func(_ context.Context, _ client.WithWatch, object client.Object, _ client.Patch, _ ...client.PatchOption) error {
			return answer(object)
		},
		SubResourcePatch: func(_ context.Context, _ client.Client, _ string, object client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
			return answer(object)
		},
	})
}

// TestWritesKeepTheirArguments checks that the API server's answers do not get into the plan or into the observed objects of the caller.
func TestWritesKeepTheirArguments(t *testing.T) {
	app := testapp.New(func(app *v1alpha1.GracefulApp) { app.UID = "1" })
	p, errs, _ := plan.For(app, plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	none := Observed{app: app}
	edited := Observed{app: app, Service: &corev1.Service{}, Deployment: &appsv1.Deployment{}, PodDisruptionBudget: &policyv1.PodDisruptionBudget{}}
	for _, o := range []struct {
		desired any
		live    client.Object
	}{
		{desired: p.Service, live: edited.Service},
		{desired: p.Deployment, live: edited.Deployment},
		{desired: p.PodDisruptionBudget, live: edited.PodDisruptionBudget},
	} {
		if err := plan.Convert(o.desired, o.live); err != nil {
			t.Fatal(err)
		}
		o.live.SetResourceVersion("1")
		o.live.SetManagedFields([]metav1.ManagedFieldsEntry{updates("kubectl-edit", `{"f:spec":{"f:replicas":{},"f:type":{},"f:maxUnavailable":{}}}`)})
	}
	edited.Deployment.Spec.Replicas = new(int32(7))
	tests := []struct {
		name     string
		observed Observed
		write    func(client.Client, Observed) error
	}{
		{name: "Apply creates", observed: none, write: func(c client.Client, o Observed) error {
			_, err := Apply(t.Context(), c, p, o, nil, true)
			return err
		}},
		{name: "Apply updates and takes fields over", observed: edited, write: func(c client.Client, o Observed) error {
			_, err := Apply(t.Context(), c, p, o, &Answers{}, false)
			return err
		}},
		{name: "DryRun", observed: edited, write: func(c client.Client, o Observed) error {
			return DryRun(t.Context(), c, p, o).Errors.ToAggregate()
		}},
		{name: "Scale", observed: edited, write: func(c client.Client, o Observed) error {
			_, _, err := Scale(t.Context(), c, app, o, nil)
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := asText(t, p, tt.observed)
			if err := tt.write(answering(), tt.observed); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(before, asText(t, p, tt.observed)); diff != "" {
				t.Errorf("the arguments have changed (-before +after):\n%s", diff)
			}
		})
	}
}

func asText(t *testing.T, objects ...any) string {
	t.Helper()
	data, err := json.MarshalIndent(objects, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
