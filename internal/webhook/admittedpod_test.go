package webhook

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// tried are the warnings of a dry run of the app.
func tried(app *v1alpha1.GracefulApp) func() []string {
	return func() []string {
		Expect(api.Create(ctx, app.DeepCopy(), client.DryRunAll)).To(Succeed())
		return warned.take()
	}
}

func describeAdmittedPod() {
	AfterEach(cleanUp)

	It("gets a warning about a missing CPU request, unless a LimitRange sets one", func() {
		n := namespace(nil)
		app := testapp.New(in(n), testapp.NoResources)
		Eventually(tried(app)).Should(ConsistOf(HavePrefix(`container "hello" serves requests and has no CPU request`)))
		Expect(api.Create(ctx, &corev1.LimitRange{
			ObjectMeta: metav1.ObjectMeta{Name: "requests", Namespace: n},
			Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type: corev1.LimitTypeContainer, DefaultRequest: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")},
			}}},
		})).To(Succeed())
		Eventually(tried(app)).Should(BeEmpty())
	})

	It("gets warnings about an injected sidecar, a shorter grace period, and probes that a policy has changed", func() {
		n := namespace(nil)
		enforce(testapp.Mutating(n, on(n, "pods", admissionregistrationv1.Create), testapp.JSONPatch(`[
			JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{name: "istio-proxy", image: "proxy:1"}},
			JSONPatch{op: "add", path: "/spec/terminationGracePeriodSeconds", value: 15},
			JSONPatch{op: "replace", path: "/spec/containers/0/readinessProbe/httpGet/path", value: "/app-health/hello/readyz"}
		]`)))
		Eventually(tried(testapp.New(in(n)))).Should(ConsistOf(
			HavePrefix(`container "istio-proxy" is injected into the pods and has no preStop hook`),
			HavePrefix("a policy of the cluster sets the pods' terminationGracePeriodSeconds to 15 instead of t3 = 20, which is not more than t1 + t2 = 15"),
			HavePrefix(`a policy of the cluster changes or removes readinessProbe of container "hello"`),
		))
	})

	It("gets a warning about an injected native sidecar if t3 has no time for it", func() {
		n := namespace(nil)
		enforce(testapp.Mutating(n, on(n, "pods", admissionregistrationv1.Create), testapp.JSONPatch(`[JSONPatch{op: "add", path: "/spec/initContainers", value: [
			{"name": "istio-proxy", "image": "proxy:1", "restartPolicy": "Always"}]}]`)))
		Eventually(tried(testapp.New(in(n)))).Should(ConsistOf(And(
			HavePrefix("native sidecars are injected into the pods (istio-proxy)"), HaveSuffix("set spec.timing.terminationGracePeriodSeconds to 25"))))
		heeded := testapp.New(in(n), func(app *v1alpha1.GracefulApp) { app.Spec.Timing.TerminationGracePeriodSeconds = new(int32(25)) })
		Expect(tried(heeded)()).To(BeEmpty())
	})

	It("gets the API server's warnings about the pod, each once, by the field of the GracefulApp", func() {
		n := namespace(map[string]string{"pod-security.kubernetes.io/warn": "restricted"})
		Eventually(tried(testapp.New(in(n)))).Should(ConsistOf(And(HavePrefix(
			`the API server warns about the pods: would violate PodSecurity "restricted:latest"`), ContainSubstring(`container "hello" must set`))))
		deprecated := func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.NodeSelector = map[string]string{"beta.kubernetes.io/os": "linux"}
		}
		Expect(tried(testapp.New(deprecated))()).To(ConsistOf(HavePrefix(
			"the API server warns about the pods: spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since")))
		By("and another app gets none")
		Expect(tried(testapp.New())()).To(BeEmpty())
	})

	It("is accepted where a policy forbids pods without a controller", func() {
		n := namespace(nil)
		enforce(testapp.Denying(n, on(n, "pods", admissionregistrationv1.Create), admissionregistrationv1.Validation{Message: "no bare pods", Expression: "has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, o.apiVersion == 'apps/v1' && o.kind == 'ReplicaSet' && " +
			"has(o.controller) && o.controller && object.metadata.generateName == o.name + '-' && " +
			"o.name.endsWith('-' + object.metadata.labels['pod-template-hash']))"}))
		bare := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "bare", Namespace: n},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "bare", Image: "bare:1"}}},
		}
		Eventually(func() error { return api.Create(ctx, bare.DeepCopy(), client.DryRunAll) }).Should(MatchError(ContainSubstring("no bare pods")))
		Expect(tried(testapp.New(in(n)))()).To(BeEmpty())
	})
}

// enforce creates an admission policy until the test ends.
func enforce(p testapp.Policy) {
	GinkgoHelper()
	Expect(p.Create(ctx, api)).To(Succeed())
	DeferCleanup(func() { Expect(p.Delete(ctx, api)).To(Succeed()) })
}

// on returns the writes of one kind to a resource of the core group in a namespace.
func on(namespace, resource string, operation admissionregistrationv1.OperationType) testapp.Writes {
	w := testapp.WritesIn(namespace, "", resource)
	w.Operations = []admissionregistrationv1.OperationType{operation}
	return w
}
