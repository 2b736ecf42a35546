package controllers

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// derived is a field of an owned object that the operator applies, and another value for it.
type derived struct {
	kind, group, resource string
	object                func() client.Object
	path                  []string
	value                 any
}

// mutation returns a mutating policy that writes the other value.
func (d derived) mutation() admissionregistrationv1.Mutation {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	path := ""
	for _, part := range d.path {
		path += "/" + escape.Replace(part)
	}
	return testapp.JSONPatch(fmt.Sprintf(`[JSONPatch{op: "replace", path: %q, value: %#v}]`, path, d.value))
}

var derivedFields = []derived{
	{kind: "Deployment", group: "apps", resource: "deployments", object: func() client.Object { return &appsv1.Deployment{} }, path: []string{"spec", "minReadySeconds"}, value: int64(1)},
	{kind: "Service", resource: "services", object: func() client.Object { return &corev1.Service{} },
		path: []string{"spec", "selector", "apps.gracefulapp.dev/name"}, value: "theirs"},
	{kind: "PodDisruptionBudget", group: "policy", resource: "poddisruptionbudgets", object: func() client.Object { return &policyv1.PodDisruptionBudget{} },
		path: []string{"spec", "maxUnavailable"}, value: int64(0)},
}

// stored reads an owned object from the API server.
func (w *testEnv) stored(d derived) *unstructured.Unstructured {
	GinkgoHelper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(fetch(w, d.object()))
	Expect(err).NotTo(HaveOccurred())
	object := &unstructured.Unstructured{Object: content}
	gvk, err := w.GroupVersionKindFor(d.object())
	Expect(err).NotTo(HaveOccurred())
	object.SetGroupVersionKind(gvk)
	return object
}

func (w *testEnv) value(d derived) any {
	GinkgoHelper()
	value, _, err := unstructured.NestedFieldNoCopy(w.stored(d).Object, d.path...)
	Expect(err).NotTo(HaveOccurred())
	return value
}

// These specs check the events and conditions that a user sees after another client changed an owned object.
var _ = Describe("The user", func() {
	for _, d := range derivedFields {
		Context(d.kind, func() {
			var w *testEnv
			BeforeEach(func() {
				w = newTestEnv()
				w.create()
				w.settle()
				w.events.take()
			})
			reverted := func(manager string) string {
				return "Normal Updated: Updated " + d.kind + " hello: reverted a change by " + manager
			}
			updates := func() []string {
				return slices.DeleteFunc(w.events.take(), func(e string) bool { return !strings.HasPrefix(e, "Normal Updated") })
			}

			It("sees that a deleted "+d.kind+" was created again", func() {
				Expect(api.Delete(ctx, fetch(w, d.object()), client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
				w.reconcile()
				Expect(w.events.take()).To(ContainElement("Normal Created: Created " + d.kind + " hello"))
				Expect(w.conditions()).To(ContainElement(HavePrefix("Ready=False Progressing")))
				w.settle()
				Expect(w.conditions()).To(ConsistOf(available))
			})

			It("sees that an edit of the "+d.kind+" was reverted", func() {
				was := w.value(d)
				object := w.stored(d)
				Expect(unstructured.SetNestedField(object.Object, d.value, d.path...)).To(Succeed())
				Expect(api.Update(ctx, object, client.FieldOwner("kubectl-edit"))).To(Succeed())
				Expect(w.value(d)).NotTo(Equal(was), "the edit must change the value")
				w.reconcile()
				Expect(updates()).To(ConsistOf(reverted("kubectl-edit")))
				Expect(w.value(d)).To(Equal(was))
				w.settle()
				Expect(updates()).To(BeEmpty(), "the event must not repeat")
				Expect(w.conditions()).To(ConsistOf(available))
			})

			It("sees that an edit of the "+d.kind+" was reverted, also if the operator was down or could not write", func() {
				object := w.stored(d)
				Expect(unstructured.SetNestedField(object.Object, d.value, d.path...)).To(Succeed())
				Expect(api.Update(ctx, object, client.FieldOwner("kubectl-edit"))).To(Succeed())
				w.states = appStates{} // as after a restart
				w.fail = func(string, string) error { return apierrors.NewInternalError(errors.New("down")) }
				_, err := w.try()
				Expect(err).To(HaveOccurred())
				Expect(updates()).To(BeEmpty())
				w.fail = nil
				w.reconcile()
				Expect(updates()).To(ConsistOf(reverted("kubectl-edit")))
			})

			It("sees that a label of the "+d.kind+" was removed, although no manager owns it then", func() {
				patch := []byte(`{"metadata":{"labels":{"apps.gracefulapp.dev/name":null}}}`)
				Expect(api.Patch(ctx, fetch(w, d.object()), client.RawPatch(types.MergePatchType, patch), client.FieldOwner("kubectl-label"))).To(Succeed())
				w.reconcile()
				Expect(updates()).To(ConsistOf("Normal Updated: Updated " + d.kind +
					" hello: another client had removed or changed a field that the operator applies"))
			})

			It("sees that a forced apply of the "+d.kind+" by another manager was reverted", func() {
				was := w.value(d)
				object := &unstructured.Unstructured{}
				object.SetGroupVersionKind(w.stored(d).GroupVersionKind())
				object.SetNamespace(w.namespace)
				object.SetName("hello")
				Expect(unstructured.SetNestedField(object.Object, d.value, d.path...)).To(Succeed())
				Expect(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("argocd-controller"), client.ForceOwnership)).
					To(Succeed())
				Expect(w.value(d)).NotTo(Equal(was), "the apply must change the value")
				w.reconcile()
				Expect(updates()).To(ConsistOf(reverted("argocd-controller")))
				Expect(w.value(d)).To(Equal(was))
				w.settle()
				Expect(w.conditions()).To(ConsistOf(available))
			})

			It("sees both values if a policy changes the "+d.kind+" each time it is applied", func() {
				was := w.value(d)
				DeferCleanup(enforce(testapp.Mutating(w.namespace, testapp.WritesIn(w.namespace, d.group, d.resource), d.mutation())))
				Eventually(func(g Gomega) {
					probe := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{"probe":%q}}}`, rand.String(5)))
					g.Expect(api.Patch(ctx, fetch(w, d.object()), probe, client.FieldOwner("policy-probe"))).To(Succeed())
					g.Expect(w.value(d)).NotTo(Equal(was))
				}).Should(Succeed(), "the API server does not enforce the policy")
				w.reconcile()
				w.events.take()
				w.reconcile()
				Expect(w.conditions()).To(ConsistOf("Ready=False Altered", "Stalled=True Altered"))
				want, err := json.Marshal(was)
				Expect(err).NotTo(HaveOccurred())
				is, err := json.Marshal(d.value)
				Expect(err).NotTo(HaveOccurred())
				Expect(w.readyMessage()).To(ContainSubstring("%s is %s instead of %s", strings.Join(d.path, "."), is, want))
				version := w.stored(d).GetResourceVersion()
				w.reconcile()
				Expect(w.stored(d).GetResourceVersion()).To(Equal(version), "each reconcile writes, and its write triggers the next one")
				Expect(w.events.take()).To(BeEmpty(), "the event must not repeat")
			})
		})
	}

	It("finds spec.commonMetadata in the metadata of the owned objects until it is removed from the spec", func() {
		w := newTestEnv()
		w.create(func(app *v1alpha1.GracefulApp) {
			app.Spec.CommonMetadata = v1alpha1.CommonMetadata{
				Labels: map[string]string{"team": "shop"}, Annotations: map[string]string{"example.com/owner": "shop"},
			}
		})
		w.settle()
		template := w.deployment().Spec.Template
		Expect(template.Labels).NotTo(HaveKey("team"))
		for _, object := range []client.Object{w.deployment(), fetch(w, &corev1.Service{}), w.budget()} {
			Expect(object.GetLabels()).To(HaveKeyWithValue("team", "shop"))
			Expect(object.GetAnnotations()).To(HaveKeyWithValue("example.com/owner", "shop"))
		}
		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.CommonMetadata = v1alpha1.CommonMetadata{} })
		w.settle()
		for _, object := range []client.Object{w.deployment(), fetch(w, &corev1.Service{}), w.budget()} {
			Expect(object.GetLabels()).NotTo(HaveKey("team"))
			Expect(object.GetAnnotations()).NotTo(HaveKey("example.com/owner"))
		}
		Expect(w.deployment().Spec.Template).To(Equal(template), "a pod restarts")
	})

	DescribeTable("sees no event for a change of the app's spec if the first apply is",
		func(failure error) {
			w := newTestEnv()
			w.create()
			w.settle()
			w.events.take()
			w.change(func(app *v1alpha1.GracefulApp) {
				app.Spec.Timing.PreStopSeconds = new(int32(8))
				app.Spec.RevisionHistoryLimit = new(int32(3))
			})
			w.fail = func(verb, kind string) error {
				if verb == "Apply" && kind == "Deployment" {
					return failure
				}
				return nil
			}
			_, _ = w.try()
			Expect(w.app().Status.ObservedGeneration).To(Equal(w.app().Generation), "the first attempt must not have updated the status")
			w.fail = nil
			w.settle()
			Expect(w.deployment().Spec.MinReadySeconds).To(BeEquivalentTo(8))
			Expect(w.events.take()).NotTo(ContainElement(HavePrefix("Normal Updated")))
		},
		Entry("successful", nil),
		Entry("a conflict", apierrors.NewConflict(appsv1.Resource("deployments"), "hello", errors.New("changed"))),
		Entry("a failure", apierrors.NewInternalError(errors.New("down"))),
	)

	It("sees no report of a policy if entries of a list without merge keys have the same name", func() {
		w := newTestEnv()
		near := func(app string) corev1.PodAffinityTerm {
			return corev1.PodAffinityTerm{
				TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
			}
		}
		w.create(func(app *v1alpha1.GracefulApp) {
			pod := &app.Spec.Template.Spec
			pod.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{near("db"), near("cache")},
			}}
			pod.Containers[0].ReadinessProbe.HTTPGet.HTTPHeaders = []corev1.HTTPHeader{{Name: "Accept", Value: "a"}, {Name: "Accept", Value: "b"}}
		})
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf("Ready=False Progressing", "Reconciling=True Progressing"))
	})
})

// After `kubectl set image deployment/…` the Deployment controller writes the status at the same moment as the operator reverts the change.
var _ = Describe("A revert that fails", func() {
	DescribeTable("is repeated without a wait, because a write that fails does not count against the limit", func(failure error) {
		w := newTestEnv()
		w.create()
		w.settle()
		want := w.deployment().Spec.Template
		d := w.deployment()
		d.Spec.Template.Spec.Containers[0].Image = "other:1"
		Expect(api.Update(ctx, d, client.FieldOwner("kubectl-set"))).To(Succeed())

		failures := objectBurst + 1
		w.fail = func(_, kind string) error {
			if kind == "Deployment" && failures > 0 {
				failures--
				return failure
			}
			return nil
		}
		for range failures + 1 {
			_, _ = w.tryNow()
		}
		Expect(failures).To(BeZero())
		Expect(w.deployment().Spec.Template).To(Equal(want))
	},
		Entry("in a conflict", apierrors.NewConflict(appsv1.Resource("deployments"), "hello", errors.New("the object has been modified"))),
		Entry("for a reason that passes", errors.New("etcd is away")),
	)
})
