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
	spare(b, policyBinding, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "free", Operator: metav1.LabelSelectorOpDoesNotExist}}})
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
	compare(b, bound, free, write)
}

// BenchmarkDeletionOfOtherObjects measures what the policy gracefulapp-owned-objects costs the deletions that are none of its business: of
// a Service without an owner, in a namespace to which the policy is bound and in one to which it is not.
//
//	make bench
func BenchmarkDeletionOfOtherObjects(b *testing.B) {
	bound, free := "deletion-bound", "deletion-free"
	for _, name := range []string{bound, free} {
		labels := map[string]string{"deletion": name}
		if err := api.Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}); err != nil {
			b.Fatal(err)
		}
		create(b, protected["Service"](ownedMeta(name, "owned")))
		create(b, protected["Service"](metav1.ObjectMeta{Namespace: name, Name: "other"}))
	}
	spare(b, ownedObjects, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "deletion", Operator: metav1.LabelSelectorOpNotIn, Values: []string{free}},
	}})
	as := impersonating(b, "admin")
	deletion := func(namespace, name string) error {
		return as.Delete(b.Context(), protected["Service"](metav1.ObjectMeta{Namespace: namespace, Name: name}), client.DryRunAll)
	}
	for namespace, denied := range map[string]bool{bound: true, free: false} {
		until(b, func() error {
			if err := deletion(namespace, "owned"); isDenied(err) != denied {
				return fmt.Errorf("in namespace %s want denied %t, got %s", namespace, denied, said(err))
			}
			return nil
		})
	}
	compare(b, bound, free, func(namespace string) time.Duration {
		begin := time.Now()
		if err := deletion(namespace, "other"); err != nil {
			b.Fatal(err)
		}
		return time.Since(begin)
	})
}

// compare reports the median of the ratios of pairs of requests, one in a namespace to which a policy is bound and one in a namespace to
// which it is not, and fails if it is more than was promised.
func compare(b *testing.B, bound, free string, request func(namespace string) time.Duration) {
	b.Helper()
	for range costPairs / 5 { // what is compiled and cached at the first calls is no cost of the later ones
		request(bound)
		request(free)
	}
	for b.Loop() {
		var ratios []float64
		for i := range costPairs {
			// Each goes first half of the time.
			first, second := bound, free
			if i%2 == 1 {
				first, second = free, bound
			}
			times := map[string]time.Duration{first: request(first)}
			times[second] = request(second)
			ratios = append(ratios, float64(times[bound])/float64(times[free]))
		}
		slices.Sort(ratios)
		median := ratios[costPairs/2]
		b.ReportMetric(median, "ratio")
		if median > mostCost {
			b.Errorf("a request that the policy sees takes %.2f times as long as one that it does not, in the median of %d pairs; at most %.1f is promised",
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

// spare namespaces from a policy.
func spare(b *testing.B, policy string, selector metav1.LabelSelector) {
	b.Helper()
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
	if err := api.Get(b.Context(), client.ObjectKey{Name: policy}, binding); err != nil {
		b.Fatal(err)
	}
	binding.Spec.MatchResources = &admissionregistrationv1.MatchResources{NamespaceSelector: &selector}
	if err := api.Update(b.Context(), binding); err != nil {
		b.Fatal(err)
	}
}
