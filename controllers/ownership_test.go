package controllers

import (
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

var _ = Describe("A foreign object of the app's name", func() {
	It("is never changed, and the app creates its own object when the name is free", func() {
		w := newTestEnv()
		foreign := &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "hello", Namespace: w.namespace},
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "theirs"}},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "theirs"}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "theirs", Image: "theirs:1"}}},
				},
			},
		}
		Expect(api.Create(ctx, foreign)).To(Succeed())
		w.create()
		Expect(w.reconcile()).To(Equal([]string{"Patch status GracefulApp"}))
		Expect(w.conditions()).To(ConsistOf("Ready=False NameTaken", "Stalled=True NameTaken"))
		Expect(w.readyMessage()).To(ContainSubstring("Deployment hello (not controlled by anything) already exists"))
		Expect(w.events.take()).To(ConsistOf(HavePrefix("Warning NameTaken: ")))
		Expect(w.deployment().ResourceVersion).To(Equal(foreign.ResourceVersion))

		Expect(api.Delete(ctx, foreign)).To(Succeed())
		w.reconcile()
		Expect(metav1.IsControlledBy(w.deployment(), w.app())).To(BeTrue())
	})

	It("is not replaced before the garbage collector deletes it, if a deleted app of the same name owned it", func() {
		w := newTestEnv()
		w.create()
		w.reconcile()
		// No garbage collector runs here: the objects stay until the test deletes them.
		Expect(api.Delete(ctx, w.app())).To(Succeed())
		w.create()
		w.events.take()
		Expect(w.reconcile()).To(Equal([]string{"Patch status GracefulApp"}))
		Expect(w.conditions()).To(ConsistOf(progressing, "Reconciling=True Progressing"))
		Expect(w.readyMessage()).To(Equal(
			"waiting for the garbage collector to delete Deployment hello, Service hello, PodDisruptionBudget hello of a deleted GracefulApp with the same name"))
		for _, child := range []client.Object{w.deployment(), fetch(w, &corev1.Service{}), w.budget()} {
			Expect(api.Delete(ctx, child, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		}
		w.reconcile()
		Expect(metav1.IsControlledBy(w.deployment(), w.app())).To(BeTrue())
	})

	It("is not adopted if the cache does not show it yet", func() {
		w := newTestEnv()
		w.create()
		w.fail = func(verb, kind string) error {
			if verb != "Apply" || kind != "Service" {
				return nil
			}
			// Another client creates the object between the operator's read and write.
			return client.IgnoreAlreadyExists(api.Create(ctx, &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Name: "hello", Namespace: w.namespace},
				Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}},
			}))
		}
		result, err := w.try()
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(conflictRequeueAfter))
		service := fetch(w, &corev1.Service{})
		Expect(service.OwnerReferences).To(BeEmpty())
		Expect(service.Spec.Ports[0].Port).To(BeEquivalentTo(1))
	})
})

var _ = Describe("An orphaned PodDisruptionBudget of a deleted GracefulApp of the same name", func() {
	DescribeTable("is not changed without the annotation", func(replicas int32) {
		w := settled()
		Expect(api.Delete(ctx, w.app())).To(Succeed())
		for _, object := range []client.Object{w.deployment(), fetch(w, &corev1.Service{})} {
			Expect(api.Delete(ctx, object)).To(Succeed())
		}
		orphan := w.budget()
		orphan.OwnerReferences = nil
		for i := range orphan.ManagedFields {
			orphan.ManagedFields[i].Time = new(metav1.NewTime(orphan.CreationTimestamp.Add(-time.Hour)))
		}
		Expect(api.Update(ctx, orphan)).To(Succeed())
		w.create(testapp.Replicas(replicas))
		w.settle()
		Expect(w.app().Status.Derivation).NotTo(BeNil())
		Expect(w.budget().ResourceVersion).To(Equal(orphan.ResourceVersion))
	},
		Entry("if the new app has one too", int32(2)),
		Entry("if the new app has none", int32(1)),
	)
})

var _ = Describe("An owned object that another client edits", func() {
	var w *testEnv
	BeforeEach(func() {
		w = newTestEnv()
		w.create()
		w.reconcile()
		w.rollOut()
		w.reconcile()
	})
	edit := func(manager client.FieldOwner, modify func(*appsv1.Deployment)) {
		GinkgoHelper()
		d := w.deployment()
		before := d.DeepCopy()
		modify(d)
		Expect(api.Patch(ctx, d, client.StrategicMergeFrom(before), manager)).To(Succeed())
	}

	It("gets the applied fields again, and loses fields that the same edit added", func() {
		// kubectl rollout undo does this: it restores an old template, with a variable that the app no longer has.
		edit("kubectl-rollout", func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(30))
			d.Spec.Template.Spec.Containers[0].Image = "hello:0.0.9"
			d.Spec.Template.Spec.Containers[0].Env = append(d.Spec.Template.Spec.Containers[0].Env,
				corev1.EnvVar{Name: "OLD", Value: "yes"})
		})
		w.reconcile()
		pod := w.deployment().Spec.Template.Spec
		Expect(*pod.TerminationGracePeriodSeconds).To(BeEquivalentTo(20))
		Expect(pod.Containers[0].Image).To(Equal("hello:0.1.0"))
		Expect(pod.Containers[0].Env).NotTo(ContainElement(HaveField("Name", "OLD")))
		w.rollOut()
		w.reconcile()
		Expect(w.reconcile()).To(BeEmpty())
	})

	It("keeps fields of other managers: rollout restart, and variables that other controllers add", func() {
		edit("kubectl-rollout", func(d *appsv1.Deployment) {
			d.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "2030-01-01T00:00:00Z"}
		})
		edit("reloader", func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Env = append(d.Spec.Template.Spec.Containers[0].Env,
				corev1.EnvVar{Name: "STAKATER_CONFIG", Value: "abc"})
		})
		w.reconcile()
		edit("kubectl-edit", func(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 1 })
		w.reconcile()
		d := w.deployment()
		Expect(d.Spec.MinReadySeconds).To(BeEquivalentTo(5))
		Expect(d.Spec.Template.Annotations).To(HaveKey("kubectl.kubernetes.io/restartedAt"))
		Expect(d.Spec.Template.Spec.Containers[0].Env).To(ContainElement(HaveField("Name", "STAKATER_CONFIG")))
	})

	It("keeps a restart even if the same manager also undid a rollout", func() {
		edit("kubectl-rollout", func(d *appsv1.Deployment) {
			d.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "2030-01-01T00:00:00Z"}
			d.Spec.Template.Spec.Containers[0].Image = "hello:0.0.9"
			d.Spec.Template.Spec.NodeSelector = map[string]string{"old": "yes"}
		})
		w.reconcile()
		template := w.deployment().Spec.Template
		Expect(template.Annotations).To(HaveKey("kubectl.kubernetes.io/restartedAt"))
		Expect(template.Spec.Containers[0].Image).To(Equal("hello:0.1.0"))
		Expect(template.Spec.NodeSelector).To(BeEmpty())
	})

	It("gets its hook again after a rollback to a hook of another kind", func() {
		// kubectl rollout undo replaces the template. A hook with two handlers is invalid, so the operator must remove the other one.
		template := w.deployment().Spec.Template
		template.Spec.Containers[0].Lifecycle.PreStop = &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}
		template.Spec.Containers[0].Image = "hello:0.0.9"
		patch, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/spec/template", "value": template}})
		Expect(err).NotTo(HaveOccurred())
		Expect(api.Patch(ctx, w.deployment(), client.RawPatch(types.JSONPatchType, patch), client.FieldOwner("kubectl-rollout"))).
			To(Succeed())
		w.reconcile()
		c := w.deployment().Spec.Template.Spec.Containers[0]
		Expect(c.Image).To(Equal("hello:0.1.0"))
		Expect(c.Lifecycle.PreStop.HTTPGet).NotTo(BeNil())
		Expect(c.Lifecycle.PreStop.Sleep).To(BeNil())
		w.rollOut()
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf(available))
	})

	It("keeps labels and finalizers that came with an edit of an applied field", func() {
		edit("kubectl-edit", func(d *appsv1.Deployment) {
			d.Labels["team"], d.Finalizers = "checkout", []string{"example.com/backup"}
			d.Spec.MinReadySeconds = 1
		})
		w.reconcile()
		d := w.deployment()
		Expect(d.Labels).To(HaveKeyWithValue("team", "checkout"))
		Expect(d.Finalizers).To(Equal([]string{"example.com/backup"}))
		Expect(d.OwnerReferences).To(HaveLen(1))
		Expect(d.Spec.MinReadySeconds).To(BeEquivalentTo(5))
	})

	It("is reconciled again if another client edits it between the operator's read and write", func() {
		edit("kubectl-edit", func(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 1 })
		w.fail = func(verb, kind string) error {
			if verb == "Patch" && kind == "Deployment" {
				edit("another-client", func(d *appsv1.Deployment) { d.Labels["team"] = "checkout" })
			}
			return nil
		}
		result, err := w.try()
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(conflictRequeueAfter))
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("Stalled")))
		w.fail = nil
		w.reconcile()
		Expect(w.deployment().Spec.MinReadySeconds).To(BeEquivalentTo(5))
	})

	It("makes the app Stalled, with both values and without endless writes, if a policy changes an applied field", func() {
		stop := enforce(testapp.Mutating(w.namespace, testapp.WritesIn(w.namespace, "apps", "deployments"), testapp.ApplyConfiguration(
			"object.spec.template.spec.terminationGracePeriodSeconds > 15 ? "+
				"Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{"+
				"terminationGracePeriodSeconds: 15}}}} : Object{}")))
		Eventually(func(g Gomega) {
			edit("policy-probe", func(d *appsv1.Deployment) { d.Spec.Template.Labels["probe"] = rand.String(5) })
			g.Expect(*w.deployment().Spec.Template.Spec.TerminationGracePeriodSeconds).To(BeEquivalentTo(15))
		}).Should(Succeed(), "the API server does not enforce the policy")
		w.events.take()
		w.reconcile()
		version := w.deployment().ResourceVersion
		Expect(w.reconcile()).To(ContainElement("Apply Deployment"), "the policy must change an applied field")
		Expect(w.deployment().ResourceVersion).To(Equal(version), "each reconcile writes, and its write triggers the next one")
		Expect(w.conditions()).To(ConsistOf("Ready=False Altered", "Stalled=True Altered"))
		Expect(w.readyMessage()).To(ContainSubstring("spec.template.spec.terminationGracePeriodSeconds is 15 instead of 20"))
		Expect(w.events.take()).To(ConsistOf(HavePrefix("Warning Altered: ")))
		Expect(w.reconcile()).To(HaveEach("Apply Deployment"))
		Expect(w.events.take()).To(BeEmpty())

		stop()
		Eventually(func(g Gomega) {
			_, err := w.try()
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(*w.deployment().Spec.Template.Spec.TerminationGracePeriodSeconds).To(BeEquivalentTo(20))
		}).Should(Succeed())
		w.rollOut()
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf(available))
	})
})
