package webhook

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

func askDerivation(version string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		app.Annotations = map[string]string{v1alpha1.AnnotationDerivation: version}
	}
}

// setVariable sets the only environment variable in the template of the serving container.
func setVariable(name, value string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: name, Value: value}}
	}
}

func longerRequests(app *v1alpha1.GracefulApp) { app.Spec.Timing.RequestSeconds = 9 }

func anotherServicePort(app *v1alpha1.GracefulApp) {
	app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 81}}}}
}

// tryPatch makes a dry run of patch with a copy of the app.
func tryPatch(app *v1alpha1.GracefulApp, modify testapp.Modifier) error {
	changed := app.DeepCopy()
	modify(changed)
	return api.Patch(ctx, changed, client.MergeFrom(app), client.DryRunAll)
}

// createDerived stores an app and its owned objects as version 1 derives them, and the derivation in the status. The app requests no version.
func createDerived(modify ...testapp.Modifier) *v1alpha1.GracefulApp {
	GinkgoHelper()
	app := testapp.New(append(modify, askDerivation("1"))...)
	Expect(api.Create(ctx, app)).To(Succeed())
	p, errs, _ := plan.For(app, plan.Running{})
	Expect(errs).To(BeEmpty())
	_, err := children.Apply(ctx, api, p, children.Observed{}, nil, true)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(deleteChildren, app)
	app.Status.Derivation = &p.Derivation
	Expect(api.Status().Update(ctx, app)).To(Succeed())
	Expect(patch(app, func(app *v1alpha1.GracefulApp) { app.Annotations = nil })).To(Succeed())
	return app
}

func deleteChildren(app *v1alpha1.GracefulApp) {
	observed, err := children.Observe(ctx, children.Reader{Cache: testapp.Unindexed(api), Live: api}, app)
	Expect(err).NotTo(HaveOccurred())
	for _, child := range []client.Object{observed.Deployment, observed.Service, observed.PodDisruptionBudget} {
		Expect(api.Delete(ctx, child)).To(Succeed())
	}
}

func describeDerivation() {
	AfterEach(cleanUp)

	It("may request only versions that the operator knows", func() {
		Expect(api.Create(ctx, testapp.New(askDerivation("3")), client.DryRunAll)).To(MatchError(And(
			ContainSubstring("metadata.annotations[apps.gracefulapp.dev/derivation]: Invalid value"),
			ContainSubstring("this operator supports the versions 1 to 2"))))
		for _, known := range []string{"1", "2"} {
			Expect(api.Create(ctx, testapp.New(askDerivation(known)), client.DryRunAll)).To(Succeed())
		}
	})

	It("is rejected only by rules of the version by which it will be derived", func() {
		wrong := setVariable("GRACEFUL_REQUEST_SEC", "99")
		says := MatchError(ContainSubstring("spec.timing sets GRACEFUL_REQUEST_SEC="))
		Expect(api.Create(ctx, testapp.New(wrong), client.DryRunAll)).To(says)
		Expect(api.Create(ctx, testapp.New(wrong, askDerivation("1")), client.DryRunAll)).To(Succeed())

		app := createDerived(wrong)
		Expect(tryPatch(app, anotherServicePort)).To(Succeed(), "it keeps its version")
		Expect(tryPatch(app, longerRequests)).To(says, "it moves to the newest")
		Expect(tryPatch(app, setVariable("GRACEFUL_REQUEST_SEC", "5"))).To(Succeed())
		Expect(tryPatch(app, setVariable("COLOR", "blue"))).To(Succeed())
	})

	It("is rejected while its Deployment has an unknown derivation version, unless it requests a known one", func() {
		app := createDerived()
		d := &appsv1.Deployment{}
		Expect(api.Get(ctx, client.ObjectKeyFromObject(app), d)).To(Succeed())
		applied, err := appsv1ac.ExtractDeployment(d, plan.FieldManager)
		Expect(err).NotTo(HaveOccurred())
		applied.WithAnnotations(map[string]string{v1alpha1.AnnotationDerivation: "3"})
		Expect(api.Apply(ctx, applied, client.FieldOwner(plan.FieldManager), client.ForceOwnership)).To(Succeed())
		Eventually(func() error { return tryPatch(app, longerRequests) }).Should(MatchError(ContainSubstring("was derived by version 3")))
		Expect(tryPatch(app, func(app *v1alpha1.GracefulApp) {
			longerRequests(app)
			askDerivation("2")(app)
		})).To(Succeed())
	})
}
