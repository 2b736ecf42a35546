package controllers

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

func (w *testEnv) drain() *v1alpha1.DrainStatus { return w.app().Status.Drain }

// sidecar returns the drain sidecar of the Deployment.
func (w *testEnv) sidecar() corev1.Container {
	GinkgoHelper()
	all := w.deployment().Spec.Template.Spec.InitContainers
	Expect(all).NotTo(BeEmpty())
	Expect(all[0].Name).To(Equal("graceful-drain"))
	return all[0]
}

var _ = Describe("The drain sidecar", func() {
	var w *testEnv
	BeforeEach(func() {
		w = newTestEnv()
		w.DrainProxyImage = "proxy:1"
	})

	// restart replaces the operator by another one, which remembers nothing.
	restart := func(image string) {
		w.GracefulAppReconciler = &GracefulAppReconciler{Client: w.Client, Recorder: w.events, Clock: w.clock, DrainProxyImage: image}
	}

	It("is added once, and keeps its token and its image when another operator takes over", func() {
		w.create(testapp.DrainSidecar)
		w.settle()
		before := w.resourceVersions()
		Expect(w.sidecar().Image).To(Equal("proxy:1"))
		Expect(w.drain()).To(Equal(&v1alpha1.DrainStatus{Mode: v1alpha1.DrainModeSidecar, Image: "proxy:1"}))
		Expect(w.conditions()).To(ConsistOf(available))

		restart("registry.example.com/proxy:2")
		Expect(w.reconcile()).To(Equal([]string{onlyStatus}))
		Expect(w.reconcile()).To(BeEmpty())
		Expect(w.resourceVersions()).To(Equal(before))
		Expect(w.drain().AvailableImage).To(Equal("registry.example.com/proxy:2"))
		Expect(w.drain().Message).To(HaveSuffix(" apps.gracefulapp.dev/drain-image=registry.example.com/proxy:2 --overwrite"))

		w.change(func(app *v1alpha1.GracefulApp) {
			app.Annotations = map[string]string{v1alpha1.AnnotationDrainImage: "registry.example.com/proxy:2"}
		})
		token := w.sidecar().Env[0]
		w.settle()
		Expect(w.sidecar().Image).To(Equal("registry.example.com/proxy:2"))
		Expect(w.sidecar().Env[0]).To(Equal(token))
		Expect(w.drain()).To(Equal(&v1alpha1.DrainStatus{Mode: v1alpha1.DrainModeSidecar, Image: "registry.example.com/proxy:2"}))

		w.change(func(app *v1alpha1.GracefulApp) { app.Annotations = nil })
		before = w.resourceVersions()
		w.settle()
		Expect(w.resourceVersions()).To(Equal(before))
	})

	It("has one token while the cache does not show the new Deployment", func() {
		w.create(testapp.DrainSidecar)
		w.remember() // no Deployment
		_, _ = w.tryNow()
		token := w.sidecar().Env[0]
		_, _ = w.tryNow()
		w.forget()
		w.settle()
		Expect(w.sidecar().Env[0]).To(Equal(token))
	})

	It("is switched on and off by one rollout each, and the Service stays", func() {
		w.create(withoutHook)
		w.settle()
		service := fetch(w, &corev1.Service{}).ResourceVersion

		w.change(testapp.DrainSidecar)
		Expect(w.reconcile()).NotTo(BeEmpty())
		w.reconcile()
		Expect(w.drain().PodsWithoutSidecar).To(BeEquivalentTo(2))
		Expect(w.deployment().Spec.Template.Spec.Containers[0].Ports[0].Name).To(Equal("app-18080"))
		w.settle()
		Expect(w.drain().PodsWithoutSidecar).To(BeZero())

		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Drain.Mode = v1alpha1.DrainModeHook })
		w.settle()
		Expect(w.deployment().Spec.Template.Spec.InitContainers).To(BeEmpty())
		Expect(w.deployment().Spec.Template.Spec.Containers[0].Ports[0].Name).To(Equal("http"))
		Expect(w.drain()).To(BeNil())
		Expect(fetch(w, &corev1.Service{}).ResourceVersion).To(Equal(service))
	})

	It("is repaired when another client changes it", func() {
		w.create(testapp.DrainSidecar)
		w.settle()
		want := w.deployment().Spec.Template
		d := w.deployment()
		d.Spec.Template.Spec.InitContainers[0].Image = "proxy:edited"
		d.Spec.Template.Spec.Containers[0].Ports[0].Name = "http"
		Expect(api.Update(ctx, d, client.FieldOwner("kubectl-edit"))).To(Succeed())
		w.settle()
		Expect(w.deployment().Spec.Template).To(Equal(want))
	})

	It("reports a port that takes its requests", func() {
		w.create(testapp.DrainSidecar)
		w.settle()
		d := w.deployment()
		d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{
			Name: "other", Image: "other:1", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 9000}},
		})
		Expect(api.Update(ctx, d, client.FieldOwner("kubectl-edit"))).To(Succeed())
		w.reconcile()
		w.reconcile()
		Expect(w.conditions()).To(ContainElement("Stalled=True Altered"))
		Expect(w.readyMessage()).To(ContainSubstring(`container "other" of Deployment hello a port named "http"`))
	})

	It("is refused without an image, and the pods stay", func() {
		w.create(withoutHook, testapp.Replicas(2))
		w.settle()
		before := w.resourceVersions()
		restart("")
		w.change(testapp.DrainSidecar)
		w.reconcile()
		Expect(w.resourceVersions()).To(Equal(before))
		Expect(w.readyMessage()).To(ContainSubstring("--drain-proxy-image"))
	})
})
