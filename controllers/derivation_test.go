package controllers

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

const onlyStatus = "Patch status GracefulApp"

// createOld stores an app and its owned objects as an operator that knew only version 1 wrote them (commit f94e937). The status has no derivation.
func (w *testEnv) createOld(modify ...testapp.Modifier) {
	GinkgoHelper()
	w.create(append(modify, askDerivation("1"))...)
	w.settle()
	w.change(func(app *v1alpha1.GracefulApp) { app.Annotations = nil })
	app := w.app()
	app.Status.Derivation = nil
	meta.RemoveStatusCondition(&app.Status.Conditions, v1alpha1.ConditionDerivationConflict)
	Expect(api.Status().Update(ctx, app)).To(Succeed())
	w.events.take()
}

func askDerivation(version string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		app.Annotations = map[string]string{v1alpha1.AnnotationDerivation: version}
	}
}

// resourceVersions returns the resource versions of the owned objects. They change with every write.
func (w *testEnv) resourceVersions() []string {
	GinkgoHelper()
	return []string{
		w.deployment().ResourceVersion, fetch(w, &corev1.Service{}).ResourceVersion, w.budget().ResourceVersion,
	}
}

func (w *testEnv) derivation() string {
	GinkgoHelper()
	return w.deployment().Annotations[v1alpha1.AnnotationDerivation]
}

func (w *testEnv) setReplicas(n int32) {
	GinkgoHelper()
	w.change(testapp.Replicas(n))
}

func (w *testEnv) condition(kind string) *metav1.Condition {
	GinkgoHelper()
	return meta.FindStatusCondition(w.app().Status.Conditions, kind)
}

func withoutHook(app *v1alpha1.GracefulApp) { app.Spec.Template.Spec.Containers[0].Lifecycle = nil }

func withSecondContainer(app *v1alpha1.GracefulApp) {
	pod := &app.Spec.Template.Spec
	pod.Containers = append(pod.Containers, corev1.Container{Name: "logs", Image: "logs:1"})
}

func longerRequests(app *v1alpha1.GracefulApp) { app.Spec.Timing.RequestSeconds = 9 }

// setVariable sets an environment variable of the serving container, the only one that the user writes.
func setVariable(name, value string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: name, Value: value}}
	}
}

var _ = Describe("An app that was derived by version 1", func() {
	for name, modify := range map[string]testapp.Modifier{
		"drain-aware":        func(*v1alpha1.GracefulApp) {},
		"sleeping":           withoutHook,
		"several containers": withSecondContainer,
		"everything":         testapp.Everything,
	} {
		It("gets no write but the status at an upgrade: "+name, func() {
			w := newTestEnv()
			w.createOld(modify)
			before := w.resourceVersions()
			Expect(w.reconcile()).To(Equal([]string{onlyStatus}))
			Expect(w.reconcile()).To(BeEmpty())
			Expect(w.resourceVersions()).To(Equal(before))
			Expect(w.app().Status.Derivation.Version).To(BeEquivalentTo(1))
			Expect(w.conditions()).To(ConsistOf(available))
			Expect(w.events.take()).To(BeEmpty())
		})
	}

	var w *testEnv
	BeforeEach(func() {
		w = newTestEnv()
		w.createOld()
	})

	It("keeps its version while it is scaled, and moves when its owner changes the timing", func() {
		w.settle()
		template := w.deployment().Spec.Template
		w.setReplicas(3)
		w.settle()
		Expect(w.derivation()).To(Equal("1"))
		Expect(w.deployment().Spec.Template).To(Equal(template))

		w.change(longerRequests)
		w.settle()
		Expect(w.derivation()).To(Equal("2"))
		Expect(w.app().Status.Derivation.Version).To(BeEquivalentTo(2))
		Expect(w.deployment().Spec.Template.Spec.Containers[0].Env).To(ContainElement(corev1.EnvVar{Name: "GRACEFUL_REQUEST_SEC", Value: "9"}))
	})

	It("moves when its owner adds a line before the upgraded operator has seen it", func() {
		w.change(setVariable("COLOR", "blue"))
		w.settle()
		Expect(w.derivation()).To(Equal("2"))
	})

	It("moves although the API server rejects the new template at first", func() {
		w.settle()
		w.change(longerRequests)
		w.fail = func(verb, kind string) error {
			if verb == "Apply" && kind == "Deployment" {
				return apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "hello", nil)
			}
			return nil
		}
		_, _ = w.try()
		Expect(w.conditions()).To(ContainElement("Stalled=True Rejected"))
		w.fail = nil
		w.settle()
		Expect(w.derivation()).To(Equal("2"))
	})

	for name, edit := range map[string]func(*appsv1.Deployment){
		"a value":                     func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "theirs:1" },
		"a line less, as a roll back": func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env = nil },
		"a line more": func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Args = []string{"--theirs"}
			d.Spec.Template.Spec.Containers[0].ReadinessProbe.PeriodSeconds = 17
		},
		"no version": func(d *appsv1.Deployment) { delete(d.Annotations, v1alpha1.AnnotationDerivation) },
	} {
		for _, seen := range []bool{true, false} {
			title := "is restored to its own version when another client edits the Deployment: " + name
			if !seen {
				title += ", before the upgraded operator has seen it"
			}
			It(title, func() {
				if seen {
					w.settle()
				}
				d := w.deployment()
				template := d.Spec.Template.DeepCopy()
				edit(d)
				Expect(api.Update(ctx, d, client.FieldOwner("kubectl-edit"))).To(Succeed())
				w.reconcile()
				w.settle()
				Expect(w.derivation()).To(Equal("1"))
				Expect(w.deployment().Spec.Template).To(Equal(*template))
			})
		}
	}

	It("keeps its version when another client edits the annotation of the Deployment", func() {
		w.settle()
		before := w.deployment().Spec.Template
		for _, version := range []string{"2", "3", "two"} {
			d := w.deployment()
			d.Annotations[v1alpha1.AnnotationDerivation] = version
			Expect(api.Update(ctx, d, client.FieldOwner("kubectl-edit"))).To(Succeed())
			w.settle()
			Expect(w.derivation()).To(Equal("1"))
		}
		Expect(w.deployment().Spec.Template).To(Equal(before))
	})

	It("is restored to its own version when the Deployment is deleted", func() {
		w.settle()
		template := w.deployment().Spec.Template
		Expect(api.Delete(ctx, w.deployment(), client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		w.settle()
		Expect(w.deployment().Spec.Template).To(Equal(template))
	})

	It("moves when the annotation requests it, and keeps the version when the annotation is removed", func() {
		w.settle()
		w.change(askDerivation("2"))
		w.settle()
		Expect(w.derivation()).To(Equal("2"))
		w.change(func(app *v1alpha1.GracefulApp) { app.Annotations = nil })
		w.settle()
		Expect(w.derivation()).To(Equal("2"))
		w.change(askDerivation("1"))
		w.settle()
		Expect(w.derivation()).To(Equal("1"))
	})

	It("keeps its version and reports a conflict when the annotation requests an unknown version", func() {
		w.settle()
		before := w.resourceVersions()
		w.change(askDerivation("3"))
		Expect(w.reconcile()).To(Equal([]string{onlyStatus}))
		Expect(w.resourceVersions()).To(Equal(before))
		Expect(w.conditions()).To(ConsistOf(available, "DerivationConflict=True UnknownDerivation"))
	})
})

var _ = Describe("A rule that is newer than the app's derivation version", func() {
	It("is only warned about, until the owner corrects the spec", func() {
		w := newTestEnv()
		w.createOld(setVariable("GRACEFUL_REQUEST_SEC", "99"))
		before := w.resourceVersions()
		Expect(w.reconcile()).To(Equal([]string{onlyStatus}))
		Expect(w.resourceVersions()).To(Equal(before))
		Expect(w.conditions()).To(ConsistOf(available, "DerivationConflict=True RuleTightened"))
		Expect(w.condition(v1alpha1.ConditionDerivationConflict).Message).To(And(
			ContainSubstring("keeps derivation version 1"), ContainSubstring("spec.timing sets GRACEFUL_REQUEST_SEC=5")))
		Expect(w.events.take()).To(ConsistOf(HavePrefix("Warning RuleTightened: ")))

		w.setReplicas(3)
		w.settle()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(3))
		Expect(w.derivation()).To(Equal("1"))

		w.change(setVariable("GRACEFUL_REQUEST_SEC", "5"))
		w.settle()
		Expect(w.derivation()).To(Equal("2"))
		Expect(w.conditions()).To(ConsistOf(available))
	})
})

// applyAsVersion3 writes the Deployment as a newer operator would.
func (w *testEnv) applyAsVersion3() {
	GinkgoHelper()
	applied, err := appsv1ac.ExtractDeployment(w.deployment(), plan.FieldManager)
	Expect(err).NotTo(HaveOccurred())
	applied.WithAnnotations(map[string]string{v1alpha1.AnnotationDerivation: "3"})
	applied.Spec.Template.Spec.Containers[0].WithEnv(corev1ac.EnvVar().WithName("GRACEFUL_TOMORROW").WithValue("1"))
	Expect(api.Apply(ctx, applied, client.FieldOwner(plan.FieldManager), client.ForceOwnership)).To(Succeed())
}

var _ = Describe("A Deployment of a derivation version that the operator does not know", func() {
	var w *testEnv
	var template corev1.PodTemplateSpec
	BeforeEach(func() {
		w = newTestEnv()
		w.create()
		w.settle()
		w.applyAsVersion3()
		w.rollOut()
		template = w.deployment().Spec.Template
		w.events.take()
	})

	It("stays as it is, is scaled, and the app says so", func() {
		before := w.resourceVersions()
		Expect(w.reconcile()).To(Equal([]string{onlyStatus}))
		Expect(w.reconcile()).To(BeEmpty())
		Expect(w.resourceVersions()).To(Equal(before))
		Expect(w.conditions()).To(ConsistOf(available, "DerivationConflict=True UnknownDerivation"))
		Expect(w.condition(v1alpha1.ConditionDerivationConflict).Message).To(ContainSubstring("derived by version 3"))
		Expect(w.events.take()).To(ConsistOf(HavePrefix("Warning UnknownDerivation: ")))

		w.setReplicas(1)
		Expect(w.reconcile()).To(Equal([]string{"Patch scale Deployment", onlyStatus}))
		w.rollOut()
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(1))
		Expect(w.deployment().Spec.Template).To(Equal(template))
		Expect(w.derivation()).To(Equal("3"))
		Expect(w.conditions()).To(ConsistOf(available, "DerivationConflict=True UnknownDerivation"))
		Expect(fetch(w, &policyv1.PodDisruptionBudget{}).DeletionTimestamp).To(BeNil(), "the operator writes only the replicas")
	})

	It("is not Ready when the spec was changed without the webhook", func() {
		w.change(longerRequests)
		Expect(w.reconcile()).To(Equal([]string{onlyStatus}))
		Expect(w.conditions()).To(ConsistOf("Ready=False UnknownDerivation", "Stalled=True UnknownDerivation",
			"DerivationConflict=True UnknownDerivation"))
		Expect(w.deployment().Spec.Template).To(Equal(template))
	})

	It("is replaced by a known version when it is deleted, because no pod exists that could restart", func() {
		app := w.app()
		app.Status.Derivation.Version = 3
		Expect(api.Status().Update(ctx, app)).To(Succeed())
		Expect(api.Delete(ctx, w.deployment(), client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		w.settle()
		Expect(w.derivation()).To(Equal("2"))
		Expect(w.conditions()).To(ConsistOf(available))
	})

	It("is not adopted, and the app is Stalled", func() {
		app := w.app()
		Expect(api.Delete(ctx, app)).To(Succeed())
		for _, object := range []client.Object{w.deployment(), fetch(w, &corev1.Service{}), w.budget()} {
			object.SetOwnerReferences(nil) // as kubectl delete --cascade=orphan leaves them
			Expect(api.Update(ctx, object)).To(Succeed())
		}
		before := w.resourceVersions()
		w.create(func(app *v1alpha1.GracefulApp) { app.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"} })
		Expect(w.reconcile()).To(Equal([]string{onlyStatus}))
		Expect(w.conditions()).To(ConsistOf("Ready=False InvalidSpec", "Stalled=True InvalidSpec"))
		Expect(w.readyMessage()).To(ContainSubstring("derived by version 3"))
		Expect(w.resourceVersions()).To(Equal(before))
	})

	It("is derived again when the annotation requests a version that the operator knows", func() {
		w.change(askDerivation("2"))
		w.settle()
		Expect(w.derivation()).To(Equal("2"))
		Expect(w.conditions()).To(ConsistOf(available))
	})
})
