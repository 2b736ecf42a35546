package fuzz

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"
	deploymentutil "k8s.io/kubectl/pkg/util/deployment"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// TestMissingPodsAreTheControllers compares with the arithmetic of Kubernetes.
func TestMissingPodsAreTheControllers(t *testing.T) {
	counts := []string{"0", "1", "2", "5", "0%", "1%", "25%", "50%", "100%"}
	for _, n := range []int32{1, 2, 3, 4, 10, 100} {
		for _, surge := range counts {
			for _, unavailable := range counts {
				_, errs, warnings := plan.For(rolling(n, surge, unavailable), plan.Running{})
				s, u := intstr.Parse(surge), intstr.Parse(unavailable)
				zero := strings.TrimSuffix(surge, "%") == "0" && strings.TrimSuffix(unavailable, "%") == "0"
				if refused := len(errs) > 0; refused != zero {
					t.Errorf("maxSurge %s, maxUnavailable %s: %v, want refused %t", surge, unavailable, errs, zero)
				}
				_, missing, err := deploymentutil.ResolveFenceposts(&s, &u, n)
				if err != nil {
					t.Fatal(err)
				}
				want := fmt.Sprintf("up to %d of %d replicas are missing", min(missing, n), n)
				if got := strings.Contains(strings.Join(warnings, "\n"), want); got != (missing > 0 && !zero) {
					t.Errorf("%d replicas, maxSurge %s, maxUnavailable %s: warnings %q, Kubernetes says %d", n, surge, unavailable, warnings, missing)
				}
			}
		}
	}
}

func rolling(replicas int32, maxSurge, maxUnavailable string) *v1alpha1.GracefulApp {
	app := testapp.New(testapp.Replicas(replicas))
	app.Spec.Strategy.RollingUpdate = v1alpha1.RollingUpdate{MaxSurge: new(intstr.Parse(maxSurge)), MaxUnavailable: new(intstr.Parse(maxUnavailable))}
	return app
}
