package controllers

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// A manifest that was exported from the cluster has the time of the last restart in its template.
var _ = Describe("A restart of an app that has restartedAt in its template", func() {
	const first, second, third = "2030-01-01T00:00:00Z", "2030-01-01T01:00:00Z", "2030-01-01T02:00:00Z"
	var w *testEnv
	restartedAt := func(value string) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Annotations = map[string]string{plan.RestartedAt: value}
		}
	}
	// restart writes the annotation as kubectl rollout restart does (k8s.io/kubectl, pkg/cmd/rollout/rollout_restart.go).
	restart := func(value string) {
		GinkgoHelper()
		patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, plan.RestartedAt, value)
		Expect(api.Patch(ctx, w.deployment(), client.RawPatch(types.StrategicMergePatchType, []byte(patch)), client.FieldOwner("kubectl-rollout"))).
			To(Succeed())
	}
	mark := func() string { return w.deployment().Spec.Template.Annotations[plan.RestartedAt] }
	BeforeEach(func() {
		w = newTestEnv()
		w.create(restartedAt(first))
		w.settle()
		Expect(mark()).To(Equal(first))
		w.events.take()
	})

	It("by kubectl is kept, without another rollout, and a later one in the template wins", func() {
		restart(second)
		rollout := w.deployment().Generation
		w.settle()
		Expect(mark()).To(Equal(second))
		Expect(w.deployment().Generation).To(Equal(rollout), "the operator has started another rollout")
		Expect(w.reconcile()).To(BeEmpty())
		Expect(w.events.take()).NotTo(ContainElement(HavePrefix("Normal Updated")), "nothing was reverted")

		w.change(restartedAt(third))
		w.settle()
		Expect(mark()).To(Equal(third))
		Expect(w.reconcile()).To(BeEmpty())
		restart("2030-01-01T03:00:00Z")
		w.settle()
		Expect(mark()).To(Equal("2030-01-01T03:00:00Z"))
	})

	It("by the real kubectl is kept", func() {
		w.change(restartedAt("2020-01-01T00:00:00Z"))
		Expect(api.Delete(ctx, w.deployment())).To(Succeed()) // its later time would win
		w.settle()
		w.kubectl()(nil, "rollout", "restart", "deployment/hello")
		written := mark()
		Expect(written > "2020-01-01T00:00:00Z").To(BeTrue(), written)
		w.settle()
		Expect(mark()).To(Equal(written))
	})

	It("by kubectl is kept when the annotation leaves the template", func() {
		restart(second)
		w.settle()
		rollout := w.deployment().Generation
		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Template.Annotations = nil })
		w.settle()
		Expect(mark()).To(Equal(second))
		Expect(w.deployment().Generation).To(Equal(rollout), "the pods are restarted")
		restart(third)
		Expect(w.reconcile()).NotTo(ContainElement("Apply Deployment"))
		Expect(mark()).To(Equal(third))
	})

	It("by kubectl is kept when an edit is reverted", func() {
		restart(second)
		w.settle()
		d := w.deployment()
		before := d.DeepCopy()
		d.Spec.MinReadySeconds = 1
		Expect(api.Patch(ctx, d, client.StrategicMergeFrom(before), client.FieldOwner("kubectl-rollout"))).To(Succeed())
		w.settle()
		Expect(w.deployment().Spec.MinReadySeconds).To(BeEquivalentTo(5))
		Expect(mark()).To(Equal(second))
	})

	It("by kubectl is kept when the cache has not seen it and another field changes", func() {
		w.remembered = memory{}.with(w.deployment())
		restart(second)
		w.change(testapp.Image("hello:0.2.0"))
		w.reconcile()
		Expect(mark()).To(Equal(second))
		w.forget()
		w.settle()
		Expect(mark()).To(Equal(second))
		Expect(w.deployment().Spec.Template.Spec.Containers[0].Image).To(Equal("hello:0.2.0"))
	})

	It("waits until a paused app is resumed", func() {
		w.change(paused)
		w.settle()
		restart(second) // kubectl refuses to restart a paused Deployment, other clients do not
		w.settle()
		Expect(mark()).To(Equal(second))
		Expect(w.deployment().Spec.Paused).To(BeTrue())
		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Paused = nil })
		w.settle()
		Expect(mark()).To(Equal(second))
		Expect(w.deployment().Spec.Paused).To(BeFalse())
	})
})
