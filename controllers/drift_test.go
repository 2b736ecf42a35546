package controllers

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// derived is a field of a child that the operator owns, and another value for it.
type derived struct {
	kind   string
	object func() client.Object
	path   []string
	value  any
}

var derivedFields = []derived{
	{"Deployment", func() client.Object { return &appsv1.Deployment{} }, []string{"spec", "minReadySeconds"}, int64(1)},
	{"Service", func() client.Object { return &corev1.Service{} }, []string{"spec", "selector", "apps.gracefulapp.dev/name"}, "theirs"},
	{"PodDisruptionBudget", func() client.Object { return &policyv1.PodDisruptionBudget{} }, []string{"spec", "maxUnavailable"}, int64(0)},
}

// stored reads a child as it is stored.
func (w *world) stored(d derived) *unstructured.Unstructured {
	GinkgoHelper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(fetch(w, d.object()))
	Expect(err).NotTo(HaveOccurred())
	object := &unstructured.Unstructured{Object: content}
	gvk, err := w.GroupVersionKindFor(d.object())
	Expect(err).NotTo(HaveOccurred())
	object.SetGroupVersionKind(gvk)
	return object
}

func (w *world) value(d derived) any {
	GinkgoHelper()
	value, _, err := unstructured.NestedFieldNoCopy(w.stored(d).Object, d.path...)
	Expect(err).NotTo(HaveOccurred())
	return value
}

// What a person sees of a child that somebody meddled with.
var _ = Describe("Of a child", func() {
	for _, d := range derivedFields {
		Context(d.kind, func() {
			var w *world
			BeforeEach(func() {
				w = newWorld()
				w.create()
				w.settle()
				w.events.take()
			})
			restored := "Normal Updated: Updated " + d.kind + " hello: somebody had changed what is derived"

			It("one sees that a deleted "+d.kind+" was made again", func() {
				Expect(api.Delete(ctx, fetch(w, d.object()), client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
				w.reconcile()
				Expect(w.events.take()).To(ContainElement("Normal Created: Created " + d.kind + " hello"))
				Expect(w.conditions()).To(ContainElement(HavePrefix("Ready=False Progressing")))
				w.settle()
				Expect(w.conditions()).To(ConsistOf(available))
			})

			It("one sees that an edited "+d.kind+" was restored", func() {
				was := w.value(d)
				object := w.stored(d)
				Expect(unstructured.SetNestedField(object.Object, d.value, d.path...)).To(Succeed())
				Expect(api.Update(ctx, object, client.FieldOwner("kubectl-edit"))).To(Succeed())
				Expect(w.value(d)).NotTo(Equal(was), "the edit changed nothing, and the test proves nothing")
				w.reconcile()
				Expect(w.events.take()).To(ContainElement(restored))
				Expect(w.value(d)).To(Equal(was))
				w.settle()
				Expect(w.conditions()).To(ConsistOf(available))
			})

			It("one sees that a "+d.kind+" was taken back from another manager who had applied it by force", func() {
				was := w.value(d)
				object := &unstructured.Unstructured{}
				object.SetGroupVersionKind(w.stored(d).GroupVersionKind())
				object.SetNamespace(w.namespace)
				object.SetName("hello")
				Expect(unstructured.SetNestedField(object.Object, d.value, d.path...)).To(Succeed())
				Expect(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("argocd-controller"), client.ForceOwnership)).
					To(Succeed())
				Expect(w.value(d)).NotTo(Equal(was), "nothing was taken over, and the test proves nothing")
				w.reconcile()
				Expect(w.events.take()).To(ContainElement(restored))
				Expect(w.value(d)).To(Equal(was))
				w.settle()
				Expect(w.conditions()).To(ConsistOf(available))
			})
		})
	}

	It("one does not see an event for what the app's owner has changed", func() {
		w := newWorld()
		w.create()
		w.settle()
		w.events.take()
		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Timing.PreStopSeconds = new(int32(8)) })
		w.reconcile()
		Expect(w.deployment().Spec.MinReadySeconds).To(BeEquivalentTo(8))
		Expect(w.events.take()).NotTo(ContainElement(HavePrefix("Normal Updated")))
	})
})
