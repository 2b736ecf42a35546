package webhook

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// The API server gives the webhook 5 s. A user whose dry runs take longer than 3 s must get the app stored, with a warning, and not an error.
func TestSlowDryRuns(t *testing.T) {
	for delay, wantWarnings := range map[time.Duration]int{0: 0, 2 * time.Second: 0, 3*time.Second + time.Millisecond: 4, 5 * time.Second: 4} {
		t.Run(delay.String(), func(t *testing.T) {
			scheme := runtime.NewScheme()
			utilruntime.Must(clientgoscheme.AddToScheme(scheme))
			api := testapp.Unindexed(fake.NewClientBuilder().WithScheme(scheme).Build())
			synctest.Test(t, func(t *testing.T) {
				slow := func(ctx context.Context) error {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(delay):
						return nil
					}
				}
				c := interceptor.NewClient(api, interceptor.Funcs{
					Apply: func(ctx context.Context, _ client.WithWatch, _ runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
						return slow(ctx)
					},
					Create: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.CreateOption) error {
						return slow(ctx)
					},
				})
				start := time.Now()
				v := Validator{Client: c, Live: c, NodePorts: utilnet.PortRange{Base: 30_000, Size: 2768}}
				warnings, err := v.ValidateCreate(t.Context(), testapp.New())
				if err != nil || len(warnings) != wantWarnings {
					t.Errorf("error %v, warnings %q, want %d", err, warnings, wantWarnings)
				}
				for _, warning := range warnings {
					if !strings.HasPrefix(warning, "the dry run failed for the ") {
						t.Errorf("the warning does not say what happened: %s", warning)
					}
				}
				// All dry runs run at the same time. One after another, four of 2 s would take too long.
				if took := time.Since(start); took != min(delay, dryRunTimeout) {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
