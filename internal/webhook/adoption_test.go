package webhook

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

var shopLabels = map[string]string{"app": "shop"}

// runShop creates a Deployment of four pods and a Service of type NodePort that the operator does not own.
func runShop(namespace string) {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Name: "hello", Namespace: namespace}
	Expect(api.Create(ctx, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
		Replicas: new(int32(4)),
		Selector: &metav1.LabelSelector{MatchLabels: shopLabels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: shopLabels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "hello", Image: "hello:0.1.0", Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
			}}},
		},
	}})).To(Succeed())
	Expect(api.Create(ctx, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeNodePort, Selector: shopLabels,
		Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
	}})).To(Succeed())
}

// shop returns an app that can adopt the objects of runShop. It lacks the annotation.
func shop(namespace string, modify ...testapp.Modifier) *v1alpha1.GracefulApp {
	return testapp.New(append([]testapp.Modifier{in(namespace), func(app *v1alpha1.GracefulApp) {
		app.Spec.Replicas = new(int32(4))
		app.Spec.Selector = &v1alpha1.Selector{MatchLabels: shopLabels}
		app.Spec.Template.Labels = shopLabels
		app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		}}
	}}, modify...)...)
}

func adopting(app *v1alpha1.GracefulApp) {
	app.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
}

// freeAddress is no address of a Service in the tests: the API server draws addresses from 10.0.0.0/24 and leaves the first 16 to those that ask for one
// (https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/).
const freeAddress = "10.0.0.7"

func describeAdoption() {
	// seen waits until the webhook answers with the error, because its cache may not have the live objects yet.
	seen := func(app *v1alpha1.GracefulApp, message string) {
		GinkgoHelper()
		Eventually(func() error { return api.Create(ctx, app.DeepCopy(), client.DryRunAll) }).Should(MatchError(ContainSubstring(message)))
	}
	noService := func(app *v1alpha1.GracefulApp) { app.Spec.Service = nil }

	It("is rejected if it would cause an outage, and the message shows a service that would not", func() {
		ns := namespace(nil)
		runShop(ns)
		seen(shop(ns, adopting, noService), `adopting Service hello would change it: type from "NodePort" to "ClusterIP", ports from `+
			`[{"port":80,"protocol":"TCP"}] to [{"name":"http","port":80,"protocol":"TCP"}]; to keep it as it is, write service: `+
			`{"spec":{"ports":[{"port":80,"targetPort":8080}],"type":"NodePort"}}`)
		seen(shop(ns, adopting, func(app *v1alpha1.GracefulApp) { app.Spec.Replicas = nil }),
			"spec.replicas: Invalid value: 1: Deployment hello has 4 replicas; adopt it with replicas: 4")
		Expect(api.Create(ctx, shop(ns, adopting))).To(Succeed())
	})

	It("is rejected with another cluster address, which a dry run under a fresh name would accept", func() {
		ns := namespace(nil)
		runShop(ns)
		seen(shop(ns, adopting, func(app *v1alpha1.GracefulApp) { app.Spec.Service.Spec.ClusterIP = freeAddress }), `to "`+freeAddress+`" (it cannot change)`)
	})

	It("may disable session affinity explicitly", func() {
		ns := namespace(nil)
		runShop(ns)
		service := &corev1.Service{}
		Expect(api.Get(ctx, client.ObjectKey{Namespace: ns, Name: "hello"}, service)).To(Succeed())
		service.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		Expect(api.Update(ctx, service)).To(Succeed())
		seen(shop(ns, adopting), `sessionAffinity from "ClientIP" to "None"`)
		Expect(api.Create(ctx, shop(ns, adopting, func(app *v1alpha1.GracefulApp) {
			app.Spec.Service.Spec.SessionAffinity = corev1.ServiceAffinityNone
		}), client.DryRunAll)).To(Succeed())
	})

	It("is checked when the annotation is added later", func() {
		ns := namespace(nil)
		runShop(ns)
		app := shop(ns, noService)
		Expect(api.Create(ctx, app)).To(Succeed(), "without the annotation nothing is adopted")
		seen(shop(ns, adopting, noService), "adopting Service hello")
		before := app.DeepCopy()
		adopting(app)
		Expect(api.Patch(ctx, app, client.MergeFrom(before))).To(MatchError(ContainSubstring("adopting Service hello would change it")))
	})

	It("is checked when the pause ends", func() {
		ns := namespace(nil)
		app := shop(ns, func(app *v1alpha1.GracefulApp) { app.Spec.Paused = new(true) })
		Expect(api.Create(ctx, app)).To(Succeed())
		runShop(ns)
		before := app.DeepCopy()
		adopting(app)
		app.Spec.Service.Spec.Type = corev1.ServiceTypeClusterIP
		app.Spec.Paused = nil
		warned.take()
		Eventually(func(g Gomega) {
			g.Expect(api.Patch(ctx, app.DeepCopy(), client.MergeFrom(before), client.DryRunAll)).To(Succeed())
			g.Expect(warned.take()).To(ContainElement(ContainSubstring(`adopting Service hello changes it at once, and its clients may lose requests: ` +
				`type from "NodePort" to "ClusterIP"`)))
		}).Should(Succeed())
	})

	It("is accepted with a warning if it has the number of replicas that an autoscaler set", func() {
		ns := namespace(nil)
		runShop(ns)
		Expect(api.Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: "busy", Namespace: ns},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "hello"}, MaxReplicas: 8,
			},
		})).To(Succeed())
		app := shop(ns, adopting, testapp.Replicas(2))
		warned.take()
		Eventually(func() error { return api.Create(ctx, app.DeepCopy(), client.DryRunAll) }).Should(Succeed())
		Expect(warned.take()).To(ContainElement(ContainSubstring("HorizontalPodAutoscaler busy targets Deployment hello")))
	})
}
