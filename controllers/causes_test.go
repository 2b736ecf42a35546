package controllers

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// forbidDeployments creates a ValidatingAdmissionPolicy that denies the Deployments of a namespace, and waits until the API server enforces it.
func (w *testEnv) forbidDeployments() (stop func()) {
	GinkgoHelper()
	stop = enforce(testapp.Denying(w.namespace, testapp.WritesIn(w.namespace, "apps", "deployments"),
		admissionregistrationv1.Validation{Expression: "false", Message: "no Deployments here"}))
	w.awaitRefusal("no Deployments here")
	return stop
}

// exhaustQuota creates a ResourceQuota that denies the Deployments of a namespace, and waits until the API server enforces it.
func (w *testEnv) exhaustQuota() (stop func()) {
	GinkgoHelper()
	none := corev1.ResourceList{"count/deployments.apps": quantity("0")}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none", Namespace: w.namespace}, Spec: corev1.ResourceQuotaSpec{Hard: none},
	}
	Expect(api.Create(ctx, quota)).To(Succeed())
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none} // envtest has no quota controller
	Expect(api.Status().Update(ctx, quota)).To(Succeed())
	w.awaitRefusal("exceeded quota")
	return func() { Expect(api.Delete(ctx, quota)).To(Succeed()) }
}

func (w *testEnv) awaitRefusal(message string) {
	GinkgoHelper()
	Eventually(func() error {
		d := w.running()
		d.Name = "probe"
		return api.Create(ctx, d, client.DryRunAll)
	}).WithTimeout(20*time.Second).Should(MatchError(ContainSubstring(message)), "the API server does not enforce it")
}

var _ = Describe("A rejected app", func() {
	It("is applied as soon as the policy or the quota that rejected it is deleted, not a minute later", func() {
		startManager()
		byPolicy, byQuota := newTestEnv(), newTestEnv()
		allow, enlarge := byPolicy.forbidDeployments(), byQuota.exhaustQuota()
		for _, w := range []*testEnv{byPolicy, byQuota} {
			w.create()
			Eventually(func() []string { return w.conditions() }).WithTimeout(20 * time.Second).Should(ContainElement("Stalled=True Rejected"))
		}
		allow()
		enlarge()
		for _, w := range []*testEnv{byPolicy, byQuota} {
			Eventually(func() error { return api.Get(ctx, w.key, &appsv1.Deployment{}) }).WithTimeout(rejectedRequeueAfter / 2).Should(Succeed())
		}
	})

	It("is one whose pods have a field that only newer API servers have, and the status names the field", func() {
		w := newTestEnv()
		w.create(testapp.NewerField)
		_, _ = w.try()
		if minorVersion() > 34 {
			Expect(w.deployment().Spec.Template.Spec.Volumes[0].Projected.Sources[0].PodCertificate.UserAnnotations).NotTo(BeEmpty())
			return
		}
		Expect(w.conditions()).To(ContainElement("Stalled=True Rejected"))
		Expect(w.readyMessage()).To(And(ContainSubstring("podCertificate.userAnnotations"), HaveSuffix("remove the field or upgrade the cluster")))
	})

	It("is failing until it is applied or deleted", func() {
		w := newTestEnv()
		w.create()
		w.fail = func(string, string) error {
			return apierrors.NewForbidden(schema.GroupResource{}, "hello", errors.New("refused"))
		}
		_, _ = w.try()
		hello := []reconcile.Request{{NamespacedName: w.key}}
		Expect(w.failing.inNamespace(w.namespace)).To(Equal(hello))
		Expect(w.failing.inNamespace("")).To(Equal(hello), "a cluster-scoped cause concerns every namespace")
		Expect(w.failing.inNamespace("another")).To(BeEmpty())
		w.fail = nil
		w.reconcile()
		Expect(w.failing.apps).To(BeEmpty())

		w.failing.set(w.key, true)
		Expect(api.Delete(ctx, w.app())).To(Succeed())
		w.reconcile()
		Expect(w.failing.apps).To(BeEmpty())
	})
})

func TestKindsThatAreNotServedAreLeftOut(t *testing.T) {
	known := runtime.NewScheme()
	if err := admissionregistrationv1.AddToScheme(known); err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicy"), meta.RESTScopeRoot)
	if isServed, err := serves(mapper, known, &admissionregistrationv1.ValidatingAdmissionPolicy{}); err != nil || !isServed {
		t.Errorf("a served kind: %v, %v", isServed, err)
	}
	if isServed, err := serves(mapper, known, &admissionregistrationv1.MutatingAdmissionPolicy{}); err != nil || isServed {
		t.Errorf("a kind that is not served: %v, %v", isServed, err)
	}
}
