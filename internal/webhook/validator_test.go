package webhook

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

const arithmetic = "t3 > t1 + t2 does not hold: terminationGracePeriodSeconds 25 is not more than " +
	"shutdownSeconds 20 + preStopSeconds 5 = 25"

func ownedField(app *v1alpha1.GracefulApp) {
	app.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(30))
}

func times(t1, t2, t3 int32) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		app.Spec.Timing.ShutdownSeconds, app.Spec.Timing.PreStopSeconds = &t1, &t2
		app.Spec.Timing.TerminationGracePeriodSeconds = &t3
	}
}

func named(name string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) { app.Name = name }
}

// The specs are ordered because the last one stops the webhook.
var _ = Describe("A GracefulApp", Ordered, func() {
	Context("when it is admitted", describeAdmission)
	Context("in a dry run", describeDeployable)
	Context("with another Service", describeServiceChange)
	Context("if the API server changes its pods", describeAdmittedPod)
	Context("derived by a version", describeDerivation)
	Context("that adopts", describeAdoption)
	Context("validated by CEL and Go", describeParity)
	Context("while the operator is down", describeAbsence)
})

func patch(app *v1alpha1.GracefulApp, modify testapp.Modifier, opts ...client.PatchOption) error {
	before := app.DeepCopy()
	modify(app)
	return api.Patch(ctx, app, client.MergeFrom(before), opts...)
}

func cleanUp() {
	Expect(api.DeleteAllOf(ctx, &v1alpha1.GracefulApp{}, client.InNamespace("default"))).To(Succeed())
	warned.take()
}

func describeAdmission() {
	AfterEach(cleanUp)

	It("accepts a good spec without a warning", func() {
		Expect(api.Create(ctx, testapp.New())).To(Succeed())
		Expect(warned.take()).To(BeEmpty())
	})

	It("accepts the template of an exported manifest, with creationTimestamp null, from a strict client", func() {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(testapp.New())
		Expect(err).NotTo(HaveOccurred())
		app := &unstructured.Unstructured{Object: content}
		app.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("GracefulApp"))
		unstructured.RemoveNestedField(app.Object, "status")
		Expect(unstructured.SetNestedField(app.Object, nil, "spec", "template", "metadata", "creationTimestamp")).To(Succeed())
		Expect(client.WithFieldValidation(api, metav1.FieldValidationStrict).Create(ctx, app)).To(Succeed())
		Expect(warned.take()).To(BeEmpty())
	})

	It("rejects t3 = t1 + t2 with the arithmetic, on create, update and patch, and accepts t3 = t1 + t2 + 1", func() {
		Expect(api.Create(ctx, testapp.New(times(20, 5, 25)))).To(MatchError(ContainSubstring(arithmetic)))
		app := testapp.New(times(20, 5, 26))
		Expect(api.Create(ctx, app)).To(Succeed())
		Expect(patch(app.DeepCopy(), times(20, 5, 25))).To(MatchError(ContainSubstring(arithmetic)))
		times(20, 5, 25)(app)
		Expect(api.Update(ctx, app)).To(MatchError(ContainSubstring(arithmetic)))
	})

	It("rejects a spec that only Go checks, in the API server's own error format", func() {
		err := api.Create(ctx, testapp.New(ownedField))
		Expect(err).To(MatchError(ContainSubstring(`GracefulApp.apps.gracefulapp.dev "hello" is invalid: ` +
			`spec.template.spec.terminationGracePeriodSeconds: Forbidden: it is derived`)))
	})

	It("returns a warning for a risky spec", func() {
		Expect(api.Create(ctx, testapp.New(testapp.Replicas(1)))).To(Succeed())
		Expect(warned.take()).To(ConsistOf(HavePrefix("spec.replicas is 1: draining its node loses about 20 s of requests")))
	})

	It("defaults replicas to 1, without which GET /scale would fail", func() {
		app := testapp.New(func(app *v1alpha1.GracefulApp) { app.Spec.Replicas = nil })
		Expect(api.Create(ctx, app)).To(Succeed())
		scale := &autoscalingv1.Scale{}
		Expect(api.SubResource("scale").Get(ctx, app, scale)).To(Succeed())
		Expect(scale.Spec.Replicas).To(BeEquivalentTo(1))
	})

	It("keeps the selector", func() {
		app := testapp.New()
		Expect(api.Create(ctx, app)).To(Succeed())
		add := func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Labels = map[string]string{"app": "hello"}
			app.Spec.Selector = &v1alpha1.Selector{MatchLabels: map[string]string{"app": "hello"}}
		}
		Expect(patch(app.DeepCopy(), add)).To(MatchError(ContainSubstring("the selector is immutable")))
		other := testapp.New(named("other"), add)
		Expect(api.Create(ctx, other)).To(Succeed())
		Expect(patch(other.DeepCopy(), func(app *v1alpha1.GracefulApp) { app.Spec.Selector = nil })).
			To(MatchError(ContainSubstring("the selector is immutable")))
		Expect(patch(other, func(app *v1alpha1.GracefulApp) { app.Labels = map[string]string{"a": "b"} })).To(Succeed())
	})

	It("keeps the name of a port that the Service targets", func() {
		app := testapp.New()
		Expect(api.Create(ctx, app)).To(Succeed())
		Expect(patch(app, func(app *v1alpha1.GracefulApp) {
			container := &app.Spec.Template.Spec.Containers[0]
			container.Ports[0].Name = "web"
			container.ReadinessProbe.HTTPGet.Port.StrVal = "web"
			container.LivenessProbe.HTTPGet.Port.StrVal = "web"
			container.Lifecycle.PreStop.HTTPGet.Port.StrVal = "web"
		})).To(MatchError(ContainSubstring(`targets the container port "http", and the name cannot change`)))
	})

	It("allows the removal of a finalizer from a terminating app with an invalid spec", func() {
		app := testapp.New(func(app *v1alpha1.GracefulApp) { app.Finalizers = []string{"example.com/wait"} })
		Expect(api.Create(ctx, app)).To(Succeed())
		Expect(api.Delete(ctx, app)).To(Succeed())
		Expect(api.Get(ctx, client.ObjectKeyFromObject(app), app)).To(Succeed())
		Expect(patch(app, func(app *v1alpha1.GracefulApp) { app.Finalizers = nil; ownedField(app) })).To(Succeed())
	})

}

func describeAbsence() {
	AfterEach(cleanUp)

	It("rejects invalid specs by CEL, and allows scaling", func() {
		app := testapp.New()
		Expect(api.Create(ctx, app)).To(Succeed())
		stopWebhook()

		By("CEL rejects a broken invariant")
		Expect(api.Create(ctx, testapp.New(named("other"), times(20, 5, 25)))).To(MatchError(ContainSubstring(arithmetic)))
		Expect(patch(app.DeepCopy(), times(20, 5, 25))).To(MatchError(ContainSubstring(arithmetic)))

		By("a change of the spec needs the webhook")
		err := patch(app.DeepCopy(), func(app *v1alpha1.GracefulApp) { app.Spec.Timing.RequestSeconds = 6 })
		Expect(err).To(MatchError(ContainSubstring("failed calling webhook")))

		By("a change of replicas or labels does not")
		Expect(patch(app.DeepCopy(), testapp.Replicas(5))).To(Succeed())
		Expect(patch(app.DeepCopy(), func(app *v1alpha1.GracefulApp) { app.Labels = map[string]string{"a": "b"} })).To(Succeed())
		scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: app.Name, Namespace: app.Namespace},
			Spec: autoscalingv1.ScaleSpec{Replicas: 3}}
		Expect(api.SubResource("scale").Update(ctx, app, client.WithSubResourceBody(scale))).To(Succeed())
	})
}
