package controllers

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

var theirLabels = map[string]string{"app": "shop"}

// running is a Deployment of another client, with three replicas and a container that the app does not have.
func (w *testEnv) running() *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "hello", Namespace: w.namespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(3)),
			Selector: &metav1.LabelSelector{MatchLabels: theirLabels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: theirLabels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{
					{Name: "hello", Image: "hello:0.0.1", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}},
					{Name: "logs", Image: "logs:1"},
				}},
			},
		},
	}
}

func adopting(app *v1alpha1.GracefulApp) {
	app.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
	app.Spec.Selector = &v1alpha1.Selector{MatchLabels: theirLabels}
	app.Spec.Template.Labels = theirLabels
	app.Spec.Replicas = new(int32(3))
}

// service is a Service of another client with the app's name.
func (w *testEnv) service(spec corev1.ServiceSpec, owners ...metav1.OwnerReference) *corev1.Service {
	GinkgoHelper()
	spec.Selector = theirLabels
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "hello", Namespace: w.namespace, OwnerReferences: owners}, Spec: spec}
	Expect(api.Create(ctx, service)).To(Succeed())
	return service
}

func paused(app *v1alpha1.GracefulApp) { app.Spec.Paused = new(true) }

var _ = Describe("A Deployment that runs", func() {
	It("is adopted when the annotation says so, together with its Service", func() {
		w := newTestEnv()
		before := w.running()
		Expect(api.Create(ctx, before)).To(Succeed())
		service := w.service(corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}}})
		w.create(adopting)
		w.reconcile()
		d := w.deployment()
		Expect(d.UID).To(Equal(before.UID))
		Expect(metav1.IsControlledBy(d, w.app())).To(BeTrue())
		Expect(d.Spec.Template.Spec.Containers).To(HaveLen(1), "the app has no such container")
		Expect(*d.Spec.Template.Spec.TerminationGracePeriodSeconds).To(BeEquivalentTo(20))
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("ScaleConflict")), "the client that created the Deployment may set its replicas")
		adopted := fetch(w, &corev1.Service{})
		Expect(adopted.UID).To(Equal(service.UID))
		Expect(adopted.Spec.ClusterIP).To(Equal(service.Spec.ClusterIP))
		w.rollOut()
		w.reconcile()
		w.reconcile() // observe the writes of the first reconcile
		Expect(w.conditions()).To(ConsistOf(available))
		Expect(w.reconcile()).To(BeEmpty())
	})

	It("loses fields on adoption that kubectl apply --server-side set and the app does not have", func() {
		w := newTestEnv()
		configuration := appsv1ac.Deployment("hello", w.namespace)
		toConfiguration(w.running().Spec, configuration)
		Expect(api.Apply(ctx, configuration, client.FieldOwner("kubectl"))).To(Succeed())
		w.create(adopting)
		w.reconcile()
		Expect(w.deployment().Spec.Template.Spec.Containers).To(HaveLen(1))
	})

	It("restarts nothing while the app is paused, and rolls out when the pause ends", func() {
		w := newTestEnv()
		Expect(api.Create(ctx, w.running())).To(Succeed())
		w.create(adopting, paused)
		w.reconcile()
		d := w.deployment()
		Expect(d.Spec.Paused).To(BeTrue(), "the Deployment's controller starts no pod from a template while it is paused")
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 3, ReadyReplicas: 3, AvailableReplicas: 3}
		Expect(api.Status().Update(ctx, d)).To(Succeed())
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf("Ready=False Paused", "Reconciling=True Paused"))
		Expect(w.readyMessage()).To(HaveSuffix("a changed template rolls out when you set spec.paused to false"))

		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Paused = nil })
		w.reconcile()
		Expect(w.deployment().Spec.Paused).To(BeFalse())
		w.rollOut()
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf(available))
	})

	It("is not adopted if its selector differs, and the message shows the selector", func() {
		w := newTestEnv()
		before := w.running()
		Expect(api.Create(ctx, before)).To(Succeed())
		w.create(func(app *v1alpha1.GracefulApp) { app.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"} })
		Expect(w.reconcile()).To(Equal([]string{"Patch status GracefulApp"}))
		Expect(w.conditions()).To(ConsistOf("Ready=False InvalidSpec", "Stalled=True InvalidSpec"))
		Expect(w.readyMessage()).To(ContainSubstring("the selector of Deployment hello is app=shop, which cannot change"))
		Expect(w.deployment().ResourceVersion).To(Equal(before.ResourceVersion))
	})

	It("is neither changed nor scaled before the adoption", func() {
		w := newTestEnv()
		before := w.running()
		Expect(api.Create(ctx, before)).To(Succeed())
		By("a Service of another controller")
		service := w.service(corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}, metav1.OwnerReference{
			APIVersion: "example.com/v1", Kind: "Shop", Name: "hello", UID: "8b0e5c1a-0000-4000-8000-000000000009", Controller: new(true),
		})
		w.create(adopting, testapp.Replicas(6))
		Expect(w.reconcile()).To(Equal([]string{"Patch status GracefulApp"}))
		By("another number of replicas")
		Expect(api.Delete(ctx, service)).To(Succeed())
		w.reconcile()
		Expect(w.readyMessage()).To(ContainSubstring("Deployment hello has 3 replicas; adopt it with replicas: 3"))
		Expect(w.deployment().ResourceVersion).To(Equal(before.ResourceVersion))
	})

	It("keeps its Service unchanged while paused, and the Service targets an unnamed port by its number", func() {
		w := newTestEnv()
		unnamed := w.running()
		unnamed.Spec.Template.Spec.Containers[0].Ports[0].Name = ""
		Expect(api.Create(ctx, unnamed)).To(Succeed())
		before := w.service(corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, SessionAffinity: corev1.ServiceAffinityClientIP,
			Ports: []corev1.ServicePort{
				{Name: "web", Port: 80, TargetPort: intstr.FromInt32(8080)}, {Name: "again", Port: 8080},
			},
		})
		w.create(adopting, paused, func(app *v1alpha1.GracefulApp) {
			app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{
				Type: corev1.ServiceTypeNodePort, SessionAffinity: corev1.ServiceAffinityClientIP,
				Ports: []corev1.ServicePort{
					{Name: "web", Port: 80, TargetPort: intstr.FromString("http")}, {Name: "again", Port: 8080, TargetPort: intstr.FromInt32(8080)},
				},
			}}
		})
		w.reconcile()
		Expect(fetch(w, &corev1.Service{}).Spec).To(Equal(before.Spec))
		Expect(metav1.IsControlledBy(fetch(w, &corev1.Service{}), w.app())).To(BeTrue())
		w.reconcile()
		Expect(fetch(w, &corev1.Service{}).Spec).To(Equal(before.Spec), "no pod has the named port yet")

		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Paused = nil })
		w.reconcile()
		Expect(fetch(w, &corev1.Service{}).Spec).To(Equal(before.Spec))
		w.rollOut()
		w.reconcile()
		after := fetch(w, &corev1.Service{}).Spec
		Expect(after.Ports[0].TargetPort).To(Equal(intstr.FromString("http")))
		Expect(after.Ports[1].TargetPort).To(Equal(intstr.FromString("http")))
		after.Ports[0].TargetPort, after.Ports[1].TargetPort = before.Spec.Ports[0].TargetPort, before.Spec.Ports[1].TargetPort
		Expect(after).To(Equal(before.Spec))
	})

	It("takes over the replicas that kubectl scale wrote, so that the first scaling of the app causes no conflict", func() {
		w := newTestEnv()
		Expect(api.Create(ctx, w.running())).To(Succeed())
		Expect(api.SubResource("scale").Update(ctx, w.deployment(), client.FieldOwner("kubectl"),
			client.WithSubResourceBody(&autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 5}}))).To(Succeed())
		w.create(adopting, testapp.Replicas(5))
		w.reconcile()
		for _, e := range w.deployment().ManagedFields {
			Expect(e.Subresource).To(Or(BeEmpty(), Equal("status")), e.Manager)
		}
		w.change(testapp.Replicas(7))
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(7))
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("ScaleConflict")))
	})

	It("keeps the number of replicas that its autoscaler wrote", func() {
		w := newTestEnv()
		Expect(api.Create(ctx, w.running())).To(Succeed())
		autoscaler := w.autoscaler()
		w.create(adopting, testapp.Replicas(2))
		w.reconcile()
		Expect(metav1.IsControlledBy(w.deployment(), w.app())).To(BeTrue())
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(3))
		Expect(w.conditions()).To(ContainElement("ScaleConflict=True AutoscalerTargetsDeployment"))
		w.rollOut()
		w.reconcile()
		Expect(w.conditions()).To(ContainElement(available), "it has as many replicas as the autoscaler wants")
		Expect(w.reconcile()).To(BeEmpty())

		By("handing over as the message says")
		w.change(testapp.Replicas(3))
		retarget(autoscaler)
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(3))
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("ScaleConflict")))
	})

	It("is not adopted from another controller, or while it is being deleted", func() {
		w := newTestEnv()
		owned := w.running()
		owned.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "example.com/v1", Kind: "Shop", Name: "hello", UID: "8b0e5c1a-0000-4000-8000-000000000009", Controller: new(true),
		}}
		owned.Finalizers = []string{"example.com/backup"}
		Expect(api.Create(ctx, owned)).To(Succeed())
		w.create(adopting)
		w.reconcile()
		Expect(w.readyMessage()).To(ContainSubstring("Deployment hello (controlled by Shop hello) already exists"))

		orphan := w.deployment()
		orphan.OwnerReferences = nil
		Expect(api.Update(ctx, orphan)).To(Succeed())
		Expect(api.Delete(ctx, orphan)).To(Succeed())
		Expect(w.reconcile()).NotTo(ContainElement(HavePrefix("Apply")))
		Expect(w.conditions()).To(ContainElement("Stalled=True NameTaken"))
	})
})

// toConfiguration returns the spec as an apply configuration.
func toConfiguration(spec appsv1.DeploymentSpec, configuration *appsv1ac.DeploymentApplyConfiguration) {
	GinkgoHelper()
	configuration.WithSpec(appsv1ac.DeploymentSpec())
	Expect(plan.Convert(spec, configuration.Spec)).To(Succeed())
}
