package webhook

import (
	"errors"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// The CRD's CEL rules repeat the most important rules of internal/plan. The API server evaluates CEL first, so users read its text. Both must return
// the same text for every spec.
func describeParity() {
	It("agree on every timing around every boundary", func() {
		n := 0
		for timing := range timings() {
			agree(func(app *v1alpha1.GracefulApp) { app.Spec.Timing = timing }, "timing %+v", printable(timing))
			n++
		}
		GinkgoWriter.Printf("compared %d timings\n", n)
		Expect(n).To(BeNumerically(">", 500))
	})

	It("agree on every strategy around every boundary", func() {
		for _, surge := range counts() {
			for _, unavailable := range counts() {
				agree(func(app *v1alpha1.GracefulApp) {
					app.Spec.Strategy.RollingUpdate = v1alpha1.RollingUpdate{MaxSurge: surge, MaxUnavailable: unavailable}
				}, "maxSurge %s, maxUnavailable %s", surge, unavailable)
			}
		}
	})

	It("agree on the type of the strategy and on minReadySeconds", func() {
		for _, kind := range []appsv1.DeploymentStrategyType{"", "RollingUpdate", "Recreate"} {
			agree(func(app *v1alpha1.GracefulApp) {
				app.Spec.Strategy.Type = kind
				if kind != "" {
					app.Spec.MinReadySeconds = new(int32(5))
				}
			}, "strategy %q", kind)
		}
	})

	It("agree on names", func() {
		// All of these are valid names of custom resources. The API server rejects other names before it evaluates CEL.
		for _, name := range []string{"a", "a-b", "a1", "a.b", "1a", strings.Repeat("a", 63), strings.Repeat("a", 64)} {
			agree(func(app *v1alpha1.GracefulApp) { app.Name = name }, "name %s", name)
		}
	})
}

// agree compares the errors of internal/plan with those of the API server.
func agree(modify testapp.Modifier, format string, values ...any) {
	GinkgoHelper()
	app := testapp.New(modify)
	_, errs, _ := plan.For(app, plan.Running{})
	want := []string{}
	for _, err := range errs {
		want = append(want, err.Field+": "+err.Detail)
	}
	got := causes(api.Create(ctx, app, client.DryRunAll))
	slices.Sort(want)
	slices.Sort(got)
	Expect(cmp.Diff(want, got)).To(BeEmpty(), append([]any{format + " (-Go +CEL)"}, values...)...)
}

// counts returns numbers of pods, percentages, and nil.
func counts() []*intstr.IntOrString {
	all := []*intstr.IntOrString{nil}
	for _, text := range []string{"0", "1", "1000000", "0%", "1%", "100%"} {
		all = append(all, new(intstr.Parse(text)))
	}
	return all
}

// timings returns all combinations of values one below, at and one above every bound.
func timings() func(yield func(v1alpha1.TimingSpec) bool) {
	around := func(bounds ...int32) []*int32 {
		all := []*int32{nil}
		for _, b := range bounds {
			for _, n := range []int32{b - 1, b, b + 1} {
				all = append(all, &n)
			}
		}
		return all
	}
	return func(yield func(v1alpha1.TimingSpec) bool) {
		for _, request := range []int32{1, 5, 86_400, 86_401} {
			for _, t1 := range around(request, 86_400) {
				for _, t2 := range around(1, 86_400) {
					sum := int32(0)
					if t1 != nil && t2 != nil {
						sum = *t1 + *t2
					}
					for _, t3 := range around(sum, 259_200) {
						if !yield(v1alpha1.TimingSpec{
							StartupSeconds: 86_399 + request%3, RequestSeconds: request, ShutdownSeconds: t1, PreStopSeconds: t2,
							TerminationGracePeriodSeconds: t3,
						}) {
							return
						}
					}
				}
			}
		}
	}
}

// causes returns the API server's validation errors, as "field: detail".
func causes(err error) []string {
	all := []string{}
	if err == nil {
		return all
	}
	var status *apierrors.StatusError
	if !errors.As(err, &status) || status.ErrStatus.Details == nil {
		return []string{err.Error()}
	}
	for _, c := range status.ErrStatus.Details.Causes {
		message := strings.TrimPrefix(c.Message, "Invalid value: ")
		all = append(all, c.Field+": "+strings.TrimPrefix(message, `"object": `)) // Kubernetes 1.34 names the type of the value
	}
	return all
}

func printable(t v1alpha1.TimingSpec) []any {
	deref := func(p *int32) any {
		if p == nil {
			return "-"
		}
		return *p
	}
	return []any{t.StartupSeconds, t.RequestSeconds, deref(t.ShutdownSeconds), deref(t.PreStopSeconds),
		deref(t.TerminationGracePeriodSeconds)}
}
