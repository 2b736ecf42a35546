package controllers

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// withoutBounds removes the bounds from the CRD's schema while store runs, so that the API server stores an app that the schema forbids, as it did
// before the schema had bounds.
func withoutBounds(store func() error) {
	GinkgoHelper()
	scheme := api.Scheme()
	if !scheme.IsGroupRegistered(apiextensionsv1.GroupName) {
		Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	}
	definition := &apiextensionsv1.CustomResourceDefinition{}
	Expect(api.Get(ctx, client.ObjectKey{Name: "gracefulapps.apps.gracefulapp.dev"}, definition)).To(Succeed())
	bounded := definition.DeepCopy()
	spec := definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	spec.Properties["template"] = apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)}
	definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"] = spec
	Expect(api.Update(ctx, definition)).To(Succeed())
	Eventually(store).Should(Succeed())
	bounded.ResourceVersion = definition.ResourceVersion
	Expect(api.Update(ctx, bounded)).To(Succeed())
}

var _ = Describe("An app that cannot be decoded", func() {
	It("is Stalled, is still scaled, and stops no other app", func() {
		w := newTestEnv()
		w.create()
		w.reconcile()
		stored := newUnstructuredApp()
		Expect(api.Get(ctx, w.key, stored)).To(Succeed())
		withoutBounds(func() error {
			containers := []any{map[string]any{"name": "hello", "image": "hello:0.1.0", "ports": []any{map[string]any{"containerPort": int64(4294967297)}}}}
			if err := unstructured.SetNestedSlice(stored.Object, containers, "spec", "template", "spec", "containers"); err != nil {
				return err
			}
			return api.Update(ctx, stored)
		})
		// While this app exists, every typed LIST fails, also in the other specs.
		DeferCleanup(func(ctx context.Context) { Expect(api.Delete(ctx, stored)).To(Succeed()) })
		Expect(api.Get(ctx, w.key, &v1alpha1.GracefulApp{})).NotTo(Succeed(), "the app must not be decodable")

		Expect(unstructured.SetNestedField(stored.Object, int64(4), "spec", "replicas")).To(Succeed())
		Eventually(func() error {
			return api.Patch(ctx, stored, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":4}}`)))
		}).
			Should(Succeed(), "the schema allows an unchanged old field")
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(4))
		Expect(api.Get(ctx, w.key, stored)).To(Succeed())
		app, errs := decode(stored)
		Expect(errs).To(HaveLen(1))
		Expect(app.Status.Conditions).To(ContainElement(And(
			HaveField("Type", v1alpha1.ConditionStalled), HaveField("Reason", v1alpha1.ReasonInvalidSpec),
			HaveField("Message", ContainSubstring("the stored spec has a value that the CRD's schema no longer allows: ")),
		)))
		Expect(w.reconcile()).To(BeEmpty())

		By("with a manager, because its caches list all apps")
		startManager()
		other := newTestEnv()
		other.create()
		Eventually(func() error { return api.Get(ctx, other.key, &appsv1.Deployment{}) }).Should(Succeed())
	})
})
