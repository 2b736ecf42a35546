package controllers

import (
	"errors"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

const (
	available   = "Ready=True Available"
	progressing = "Ready=False Progressing"
)

var _ = Describe("A GracefulApp", func() {
	var w *testEnv
	BeforeEach(func() { w = newTestEnv() })

	It("gets a Service, a Deployment and a PodDisruptionBudget of its name, and becomes Ready", func() {
		app := w.create()
		writes := w.reconcile()
		Expect(writes).To(ConsistOf("Apply Service", "Apply Deployment", "Apply PodDisruptionBudget", "Patch status GracefulApp"))
		Expect(slices.Index(writes, "Apply Service")).To(BeNumerically("<", slices.Index(writes, "Apply Deployment")), "pods read the Services at their start")
		Expect(writes[3]).To(Equal("Patch status GracefulApp"))
		Expect(w.conditions()).To(ConsistOf(progressing, "Reconciling=True Progressing"))
		for _, object := range []client.Object{w.deployment(), fetch(w, &corev1.Service{}), w.budget()} {
			Expect(metav1.IsControlledBy(object, app)).To(BeTrue(), "%T", object)
		}
		Expect(*w.deployment().Spec.Template.Spec.TerminationGracePeriodSeconds).To(BeEquivalentTo(20))

		w.rollOut()
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf(available))
		status := w.app().Status
		Expect(status.ObservedGeneration).To(Equal(w.app().Generation))
		Expect(status.Selector).To(Equal("apps.gracefulapp.dev/name=hello"))
		Expect([]int32{status.Timing.ShutdownSeconds, status.Timing.PreStopSeconds, status.Timing.TerminationGracePeriodSeconds}).
			To(Equal([]int32{10, 5, 20}))
		Expect(w.events.take()).To(Equal([]string{
			"Normal Created: Created Service hello, Deployment hello, PodDisruptionBudget hello",
			"Normal Available: 2 of 2 replicas are available, 2 ready, 2 up to date",
		}))
	})

	It("gets each event once, also if the responses to writes of the status are lost", func() {
		w.create()
		loseResponse := func() {
			w.lost = errWriteTimeout
			_, err := w.try()
			Expect(err).To(MatchError(errWriteTimeout))
			w.lost = nil
			Expect(w.reconcile()).To(BeEmpty(), "the API server has stored the status")
		}
		loseResponse()
		Expect(w.events.take()).To(Equal([]string{"Normal Created: Created Service hello, Deployment hello, PodDisruptionBudget hello"}))
		w.rollOut()
		loseResponse()
		Expect(w.events.take()).To(Equal([]string{"Normal Available: 2 of 2 replicas are available, 2 ready, 2 up to date"}))
		Expect(w.reconcile()).To(BeEmpty())
		Expect(w.events.take()).To(BeEmpty())
	})

	It("causes no write and no event when nothing changed", func() {
		w.create(testapp.Everything)
		w.reconcile()
		w.rollOut()
		w.reconcile()
		w.events.take()
		Expect(w.reconcile()).To(BeEmpty())
		Expect(w.events.take()).To(BeEmpty())
	})

	It("needs no memory for a decoded app once the app is settled", func() {
		isDecoded := func() bool { return w.states.byApp[w.key].decoded.app != nil }
		w.create()
		w.reconcile()
		w.reconcile()
		Expect(isDecoded()).To(BeTrue(), "an app that is not Ready changes again soon")
		w.rollOut()
		w.reconcile()
		Expect(isDecoded()).To(BeTrue(), "the event of the status write follows")
		w.reconcile()
		Expect(isDecoded()).To(BeFalse())
	})

	It("scales the Deployment, and has a disruption budget from 2 replicas on", func() {
		w.create()
		w.reconcile()
		w.rollOut()
		w.reconcile()
		w.change(testapp.Replicas(1))
		Expect(w.reconcile()).To(Equal([]string{"Patch scale Deployment", "Delete PodDisruptionBudget", "Patch status GracefulApp"}))
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(1))
		Expect(w.conditions()).To(ConsistOf("Ready=False Scaling", "Reconciling=True Scaling"))
		w.absent(&policyv1.PodDisruptionBudget{})

		w.change(testapp.Replicas(0))
		w.reconcile()
		w.rollOut()
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeZero())
		Expect(w.conditions()).To(ConsistOf(available), "0 of 0 is Ready")
	})

	It("has no disruption budget beside one of another owner", func() {
		w.create()
		w.reconcile()
		foreign := &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Name: "theirs", Namespace: w.namespace},
			Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{
				MatchLabels: map[string]string{"apps.gracefulapp.dev/name": "hello"},
			}},
		}
		Expect(api.Create(ctx, foreign)).To(Succeed())
		w.reconcile()
		w.absent(&policyv1.PodDisruptionBudget{})
		Expect(api.Delete(ctx, foreign)).To(Succeed())
		w.reconcile()
		w.budget()
	})

	It("treats another owner's disruption budget with the app's name in the same way", func() {
		foreign := &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Name: "hello", Namespace: w.namespace},
			Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{
				MatchLabels: map[string]string{"apps.gracefulapp.dev/name": "hello"},
			}},
		}
		Expect(api.Create(ctx, foreign)).To(Succeed())
		w.create()
		Expect(w.reconcile()).To(Equal([]string{"Apply Service", "Apply Deployment", "Patch status GracefulApp"}))
		w.rollOut()
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf(available))
		Expect(w.budget().ResourceVersion).To(Equal(foreign.ResourceVersion))
	})

	It("removes containers and variables that the template no longer has", func() {
		w.create(func(app *v1alpha1.GracefulApp) {
			pod := &app.Spec.Template.Spec
			pod.Containers = append(pod.Containers, corev1.Container{Name: "logs", Image: "logs:1"})
			pod.Containers[0].Env = []corev1.EnvVar{{Name: "MODE", Value: "web"}}
		})
		w.reconcile()
		Expect(w.deployment().Spec.Template.Spec.Containers).To(HaveLen(2))
		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.Containers = app.Spec.Template.Spec.Containers[:1]
			app.Spec.Template.Spec.Containers[0].Env = nil
		})
		w.reconcile()
		containers := w.deployment().Spec.Template.Spec.Containers
		Expect(containers).To(HaveLen(1))
		Expect(containers[0].Env).To(HaveLen(4), "only the timing's variables")
	})

	It("does nothing for an app that is deleted or terminating", func() {
		Expect(w.reconcile()).To(BeEmpty())
		w.create(func(app *v1alpha1.GracefulApp) { app.Finalizers = []string{"example.com/wait"} })
		Expect(api.Delete(ctx, w.app())).To(Succeed())
		Expect(w.reconcile()).To(BeEmpty())
		w.absent(&appsv1.Deployment{})
	})
})

var _ = Describe("A spec that breaks an invariant", func() {
	It("is Stalled: the owned objects stay as they are, but the Deployment is still scaled", func() {
		w := newTestEnv()
		w.create()
		w.reconcile()
		w.rollOut()
		w.reconcile()
		w.events.take()
		// The schema allows this. The webhook, which this API server does not have, would reject it.
		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(1))
			app.Spec.Template.Spec.Containers[0].Image = "hello:9"
		})
		Expect(w.reconcile()).To(Equal([]string{"Patch status GracefulApp"}))
		Expect(w.conditions()).To(ConsistOf("Ready=False InvalidSpec", "Stalled=True InvalidSpec"))
		Expect(w.readyMessage()).To(ContainSubstring("spec.template.spec.terminationGracePeriodSeconds: Forbidden: it is derived"))
		Expect(w.events.take()).To(ConsistOf(HavePrefix("Warning InvalidSpec: spec.template.spec")))
		Expect(w.app().Status.ObservedGeneration).To(Equal(w.app().Generation), "kstatus would never stop waiting")

		w.change(testapp.Replicas(5))
		Expect(w.reconcile()).To(ContainElement("Patch scale Deployment"))
		d := w.deployment()
		Expect(*d.Spec.Replicas).To(BeEquivalentTo(5))
		Expect(d.Spec.Template.Spec.Containers[0].Image).To(Equal("hello:0.1.0"))
		Expect(*d.Spec.Template.Spec.TerminationGracePeriodSeconds).To(BeEquivalentTo(20))
		Expect(w.reconcile()).To(BeEmpty())
	})
})

var _ = Describe("An API server that rejects a write", func() {
	var w *testEnv
	BeforeEach(func() { w = newTestEnv() })

	It("temporarily: the status has the error, and the retries back off", func() {
		w.create()
		w.fail = func(verb, kind string) error {
			if verb == "Apply" && kind == "Deployment" {
				return errors.New("etcd is away")
			}
			return nil
		}
		_, err := w.try()
		Expect(err).To(MatchError("creating Deployment hello: etcd is away"))
		Expect(w.conditions()).To(ConsistOf("Ready=False ApplyFailed", "Reconciling=True ApplyFailed"))
		Expect(w.readyMessage()).To(ContainSubstring("etcd is away"))
		w.fail = nil
		w.reconcile()
		Expect(w.conditions()).To(ContainElement(progressing))
	})

	It("permanently: the app is Stalled with the error, and the operator retries later", func() {
		w.create(func(app *v1alpha1.GracefulApp) { app.Spec.Template.Spec.Containers[0].Name = "Not_A_Label" })
		result, err := w.try()
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(time.Minute))
		Expect(w.conditions()).To(ConsistOf("Ready=False Rejected", "Stalled=True Rejected"))
		Expect(w.readyMessage()).To(ContainSubstring("Not_A_Label"))
	})

	It("permanently: the Deployment still follows its autoscaler", func() {
		w.create()
		w.reconcile()
		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.Containers[0].Name = "Not_A_Label"
			app.Spec.Replicas = new(int32(5))
		})
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf("Ready=False Rejected", "Stalled=True Rejected"))
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(5))
	})
})
