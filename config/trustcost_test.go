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
	// costPairs is the number of measured pairs of requests, maxRatio the highest accepted median of their ratios.
	costPairs = 500
	maxRatio  = 1.1
)

// BenchmarkRunsPodsPolicy measures the cost of the policy that checks whether the writer of a GracefulApp may create Deployments. It sends
// pairs of writes, one to a namespace to which the policy is bound and one to a namespace to which it is not, and takes the median of their
// ratios. No webhook runs here, so the write without the policy is as cheap as possible, and the ratio is an upper bound.
//
//	make bench
func BenchmarkRunsPodsPolicy(b *testing.B) {
	removeWebhook(b)
	bound, free := "default", "free"
	if err := api.Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: free, Labels: map[string]string{"free": "true"}}}); err != nil {
		b.Fatal(err)
	}
	bindTo(b, policyBinding, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "free", Operator: metav1.LabelSelectorOpDoesNotExist}}})
	rules := []rbacv1.PolicyRule{writesApps, createsDeployments}
	writer := userWith(b, "writer", rules...)
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
	unprivileged := userWith(b, "outsider", writesApps)
	grant(b, free, "outsider", writesApps)
	for namespace, refused := range map[string]bool{bound: true, free: false} {
		until(b, func() error {
			app := named(sample(b), "cost")
			app.Namespace = namespace
			if err := unprivileged.Create(b.Context(), app, client.DryRunAll); (err != nil) != refused {
				return fmt.Errorf("in namespace %s a user who may not run pods gets %s", namespace, said(err))
			}
			return nil
		})
	}
	compare(b, bound, free, write)
}

// BenchmarkDeletionOfOtherObjects measures how much the policy gracefulapp-owned-objects slows the deletion of an object that it does not
// protect: a Service without an owner, in a namespace to which the policy is bound and in one to which it is not.
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
	bindTo(b, ownedObjects, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
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
// which it is not. It fails if the median exceeds maxRatio.
func compare(b *testing.B, bound, free string, request func(namespace string) time.Duration) {
	b.Helper()
	for range costPairs / 5 { // warm-up: the API server compiles and caches at the first calls
		request(bound)
		request(free)
	}
	for b.Loop() {
		var ratios []float64
		for i := range costPairs {
			// Each namespace goes first in half of the pairs.
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
		if median > maxRatio {
			b.Errorf("a request takes %.2f times as long with the policy as without it (median of %d pairs); at most %.1f is allowed",
				median, costPairs, maxRatio)
		}
	}
}

// removeWebhook removes the webhook until the benchmark ends.
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

// bindTo limits a policy to the namespaces that the selector matches.
func bindTo(b *testing.B, policy string, selector metav1.LabelSelector) {
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
