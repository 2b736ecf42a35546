package children

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// BenchmarkRequiredAction measures the comparison of the three owned objects with those in the cache, which most reconciles end with.
func BenchmarkRequiredAction(b *testing.B) {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	builder := fake.NewClientBuilder().WithScheme(scheme).WithReturnManagedFields()
	if err := IndexFields(b.Context(), indexer{builder}); err != nil {
		b.Fatal(err)
	}
	api := builder.Build()
	app := testapp.New(func(app *v1alpha1.GracefulApp) { app.UID = "1" })
	p, errs, _ := plan.For(app, plan.Running{})
	if len(errs) > 0 {
		b.Fatal(errs)
	}
	if _, err := Apply(b.Context(), api, p, Observed{app: app}, nil, true); err != nil {
		b.Fatal(err)
	}
	o, err := Observe(b.Context(), Reader{Cache: api, Live: api}, app)
	if err != nil {
		b.Fatal(err)
	}
	p, _, _ = plan.For(app, o.Running())
	for b.Loop() {
		for _, object := range ownedObjects(p, o) {
			// The fake API server puts an empty status into the managed fields of a Deployment, so that one differs at the end.
			if action := object.requiredAction(); action != Nothing && object.kind != deploymentKind {
				b.Fatalf("%s: %s", object.kind, action)
			}
		}
	}
}
