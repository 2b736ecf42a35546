package config_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	policyBinding = "gracefulapp-runs-pods"
	// costPairs and mostCost are what the policy was promised to be measured by.
	costPairs = 500
	mostCost  = 1.1
)

// BenchmarkWhoMayRunPods tells what it costs to ask whether the writer of a GracefulApp may create Deployments: pairs of writes, one in a
// namespace to which the policy is bound and one in a namespace to which it is not, and the median of their ratios. No webhook answers here,
// so the write that it is compared with is as cheap as one can be, and the ratio an upper bound.
//
//	make bench
func BenchmarkWhoMayRunPods(b *testing.B) {
	removeWebhook(b)
	bound, free := "default", "free"
	if err := api.Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: free, Labels: map[string]string{"free": "true"}}}); err != nil {
		b.Fatal(err)
	}
	spare(b, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "free", Operator: metav1.LabelSelectorOpDoesNotExist}}})
	rules := []rbacv1.PolicyRule{writesApps, createsDeployments}
	writer := person(b, "writer", rules...)
	grant(b, free, "writer", rules...)
	write := func(namespace string) time.Duration {
		app := named(sample(b), "cost")
		app.Namespace = namespace
		begin := time.Now()
		if err := writer.Create(b.Context(), app, client.DryRunAll); err != nil {
			b.Fatal(err)
		}
		return time.Since(begin)
	}
	stranger := person(b, "outsider", writesApps)
	grant(b, free, "outsider", writesApps)
	for namespace, refused := range map[string]bool{bound: true, free: false} {
		until(b, func() error {
			app := named(sample(b), "cost")
			app.Namespace = namespace
			if err := stranger.Create(b.Context(), app, client.DryRunAll); (err != nil) != refused {
				return fmt.Errorf("in namespace %s who may not run pods gets %s", namespace, said(err))
			}
			return nil
		})
	}
	for range costPairs / 5 { // what is compiled and cached at the first calls is no cost of the later ones
		write(bound)
		write(free)
	}
	for b.Loop() {
		var ratios []float64
		for i := range costPairs {
			// Each goes first half of the time.
			first, second := bound, free
			if i%2 == 1 {
				first, second = free, bound
			}
			times := map[string]time.Duration{first: write(first)}
			times[second] = write(second)
			ratios = append(ratios, float64(times[bound])/float64(times[free]))
		}
		slices.Sort(ratios)
		median := ratios[costPairs/2]
		b.ReportMetric(median, "ratio")
		if median > mostCost {
			b.Errorf("a write that is asked about takes %.2f times as long as one that is not, in the median of %d pairs; at most %.1f is promised",
				median, costPairs, mostCost)
		}
	}
}

// removeWebhook until the benchmark ends.
func removeWebhook(b *testing.B) {
	b.Helper()
	configuration := webhookConfiguration(b)
	before := configuration.Webhooks
	configuration.Webhooks = nil
	if err := api.Update(b.Context(), configuration); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		configuration := webhookConfiguration(b)
		configuration.Webhooks = before
		if err := api.Update(context.Background(), configuration); err != nil {
			b.Error(err)
		}
	})
	until(b, func() error { return api.Create(b.Context(), named(sample(b), "probe"), client.DryRunAll) })
}

// spare namespaces from the policy.
func spare(b *testing.B, selector metav1.LabelSelector) {
	b.Helper()
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
	if err := api.Get(b.Context(), client.ObjectKey{Name: policyBinding}, binding); err != nil {
		b.Fatal(err)
	}
	binding.Spec.MatchResources = &admissionregistrationv1.MatchResources{NamespaceSelector: &selector}
	if err := api.Update(b.Context(), binding); err != nil {
		b.Fatal(err)
	}
}
