package webhook

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// BenchmarkValidate measures the cost of validation with and without dry runs, and of one dry run. The operator reads from a cache, the benchmark
// does not, so the figure with dry runs is an upper bound.
//
//	make bench
func BenchmarkValidate(b *testing.B) {
	environment := &envtest.Environment{
		CRDDirectoryPaths: []string{"../../config/crd/bases"}, ErrorIfCRDPathMissing: true,
		// A busy machine needs more than the defaults of 20 s and 10 s.
		ControlPlaneStartTimeout: 2 * time.Minute, CRDInstallOptions: envtest.CRDInstallOptions{MaxTime: time.Minute},
	}
	config, err := environment.Start()
	b.Cleanup(func() { _ = environment.Stop() })
	if err != nil {
		b.Fatalf("%v; make bench sets KUBEBUILDER_ASSETS", err)
	}
	config.QPS = -1 // the API server serves only this benchmark
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	api, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		b.Fatal(err)
	}
	app := testapp.New(func(app *v1alpha1.GracefulApp) { app.UID = "8b0e5c1a-0000-4000-8000-000000000001" })
	ports := utilnet.PortRange{Base: 30_000, Size: 2768}
	for name, v := range map[string]Validator{"checks": {NodePorts: ports}, "checks and dry run": {NodePorts: ports, Client: testapp.Unindexed(api), Live: api}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if warnings, err := v.ValidateCreate(b.Context(), app); err != nil || v.Client != nil && len(warnings) > 0 {
					b.Fatal(warnings, err)
				}
			}
		})
	}
	b.Run("one dry run of a pod", func(b *testing.B) {
		for b.Loop() {
			pod := &corev1.Pod{Spec: app.Spec.Template.Spec}
			pod.Namespace, pod.GenerateName = "default", "hello-"
			if err := api.Create(b.Context(), pod, client.DryRunAll); err != nil {
				b.Fatal(err)
			}
		}
	})
}
