package controllers

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

var _ = Describe("A client that scales the Deployment", func() {
	var w *testEnv
	BeforeEach(func() {
		w = newTestEnv()
		w.create()
		w.reconcile()
		w.rollOut()
		w.reconcile()
		w.events.take()
	})

	It("gets one event that says to scale the GracefulApp, and the replicas are reverted", func() {
		scale := func(n int32) {
			GinkgoHelper()
			Expect(api.SubResource("scale").Update(ctx, w.deployment(), client.FieldOwner("another-client"),
				client.WithSubResourceBody(&autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: n}}))).To(Succeed())
		}
		scale(5)
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(2))
		Expect(w.conditions()).To(ContainElement("ScaleConflict=True DeploymentScaled"))
		Expect(w.events.take()).To(ContainElement("Warning DeploymentScaled: another-client scaled Deployment hello to 5, and the operator set it back " +
			"to 2; scale the GracefulApp instead: kubectl scale gracefulapp/hello --replicas=5"))
		scale(6)
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(2))
		Expect(w.events.take()).NotTo(ContainElement(HavePrefix("Warning DeploymentScaled")), "a repeated conflict must not repeat the event")

		w.rollOut()
		result, err := w.try()
		Expect(err).NotTo(HaveOccurred())
		Expect(w.conditions()).To(ConsistOf(available, "ScaleConflict=True DeploymentScaled"))
		Expect(result.RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<", scaleConflictDuration)))
		w.clock.SetTime(w.clock.Now().Add(result.RequeueAfter))
		_, err = w.tryNow()
		Expect(err).NotTo(HaveOccurred())
		Expect(w.conditions()).To(ConsistOf(available))
	})

	It("causes no conflict if it scales the app", func() {
		w.change(testapp.Replicas(4))
		w.reconcile()
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("ScaleConflict")))
	})

	It("causes no conflict if it is an autoscaler for a Deployment of another API group", func() {
		autoscaler := w.autoscaler()
		autoscaler.Spec.ScaleTargetRef.APIVersion = "apps.example.com/v1"
		Expect(api.Update(ctx, autoscaler)).To(Succeed())
		w.change(testapp.Replicas(4))
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(4))
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("ScaleConflict")))
	})

	It("keeps its number if it is an autoscaler and the cache shows an older number", func() {
		w.autoscaler()
		w.reconcile()
		w.remembered = memory{}.with(w.deployment())
		Expect(api.SubResource("scale").Update(ctx, w.deployment(), client.FieldOwner("kube-controller-manager"),
			client.WithSubResourceBody(&autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 4}}))).To(Succeed())
		w.change(testapp.Image("hello:0.2.0"))
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(4))
		w.forget()
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(4))
		Expect(w.deployment().Spec.Template.Spec.Containers[0].Image).To(Equal("hello:0.2.0"))
	})

	It("keeps its number while it is an autoscaler that targets the Deployment, and the condition names the right target", func() {
		autoscaler := w.autoscaler()
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf(available, "ScaleConflict=True AutoscalerTargetsDeployment"))
		Expect(w.events.take()).To(ConsistOf("Warning AutoscalerTargetsDeployment: HorizontalPodAutoscaler busy targets Deployment hello, so the " +
			"GracefulApp keeps the Deployment's replicas (2) and ignores spec.replicas; to hand over, run kubectl scale gracefulapp/hello " +
			"--replicas=2, then set the autoscaler's scaleTargetRef to apiVersion apps.gracefulapp.dev/v1alpha1, kind GracefulApp, name hello"))
		Expect(api.SubResource("scale").Update(ctx, w.deployment(), client.FieldOwner("kube-controller-manager"),
			client.WithSubResourceBody(&autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 4}}))).To(Succeed())
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(4))
		w.change(testapp.Replicas(4))
		retarget(autoscaler)
		w.reconcile()
		w.rollOut()
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf(available))

		By("scaling the app, though the autoscaler owns the field too")
		w.change(testapp.Replicas(5))
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(5))
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("ScaleConflict")))
	})
})

// autoscaler creates a HorizontalPodAutoscaler that targets the Deployment.
func (w *testEnv) autoscaler() *autoscalingv2.HorizontalPodAutoscaler {
	GinkgoHelper()
	autoscaler := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "busy", Namespace: w.namespace},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "hello"},
			MaxReplicas:    5,
		},
	}
	Expect(api.Create(ctx, autoscaler)).To(Succeed())
	return autoscaler
}

// retarget sets the target of an autoscaler to the app.
func retarget(autoscaler *autoscalingv2.HorizontalPodAutoscaler) {
	GinkgoHelper()
	autoscaler.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "GracefulApp", Name: "hello",
	}
	Expect(api.Update(ctx, autoscaler)).To(Succeed())
}

var _ = Describe("Draining pods", func() {
	It("have a condition of their own, and the app stays Ready", func() {
		w := newTestEnv()
		w.create()
		w.reconcile()
		w.rollOut()
		d := w.deployment()
		d.Status.TerminatingReplicas = new(int32(3))
		Expect(api.Status().Update(ctx, d)).To(Succeed())
		w.reconcile()
		want := []string{available, "Draining=True PodsTerminating"}
		if !countsDrainingPods() {
			want = []string{available}
		}
		Expect(w.conditions()).To(ConsistOf(want))
		w.rollOut()
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf(available))
	})
})
