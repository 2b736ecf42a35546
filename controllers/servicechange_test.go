package controllers

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

var _ = Describe("A Service that the API server refuses", func() {
	It("has its own name in the status, also if another client has changed the live one", func() {
		w := newTestEnv()
		w.create()
		w.reconcile()
		live := fetch(w, &corev1.Service{})
		live.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
		Expect(api.Update(ctx, live, client.FieldOwner("kubectl-edit"))).To(Succeed())
		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{LoadBalancerClass: new("example.com/internal")}}
		})
		w.reconcile()
		Expect(w.conditions()).To(ContainElement("Stalled=True Rejected"))
		Expect(w.readyMessage()).To(And(ContainSubstring(`Service "hello" is invalid`), Not(ContainSubstring("hello-dry-run"))))
	})

	It("says how to create it again, and that works", func() {
		w := newTestEnv()
		w.create()
		w.reconcile()
		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}}
		})
		w.reconcile()
		Expect(w.conditions()).To(ContainElement("Stalled=True Rejected"))
		Expect(w.readyMessage()).To(HaveSuffix("keep the value, or delete the Service (its address then changes): kubectl annotate service hello -n " +
			w.namespace + " apps.gracefulapp.dev/allow-deletion=true && kubectl delete service hello -n " + w.namespace))
		By("while its load balancer is deleted first")
		live := fetch(w, &corev1.Service{})
		live.Finalizers = []string{"service.kubernetes.io/load-balancer-cleanup"}
		Expect(api.Update(ctx, live)).To(Succeed())
		Expect(api.Delete(ctx, live)).To(Succeed())
		w.rollOut()
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf(progressing, "Reconciling=True Progressing"))
		Expect(w.readyMessage()).To(ContainSubstring("waiting for the deletion of Service hello"))
		live = fetch(w, live)
		live.Finalizers = nil
		Expect(api.Update(ctx, live)).To(Succeed())
		w.reconcile()
		Expect(fetch(w, &corev1.Service{}).Spec.ClusterIP).To(Equal(corev1.ClusterIPNone))
	})
})
