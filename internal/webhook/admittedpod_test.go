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
		mutatePods(n, jsonPatch(`[
			JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{name: "istio-proxy", image: "proxy:1"}},
			JSONPatch{op: "add", path: "/spec/terminationGracePeriodSeconds", value: 15},
			JSONPatch{op: "replace", path: "/spec/containers/0/readinessProbe/httpGet/path", value: "/app-health/hello/readyz"}
		]`))
		Eventually(tried(testapp.New(in(n)))).Should(ConsistOf(
			HavePrefix(`container "istio-proxy" is injected into the pods and has no preStop hook`),
			HavePrefix("a policy of the cluster sets the pods' terminationGracePeriodSeconds to 15 instead of t3 = 20, which is not more than t1 + t2 = 15"),
			HavePrefix(`a policy of the cluster changes or removes readinessProbe of container "hello"`),
		))
	})

	It("gets a warning about an injected native sidecar if t3 has no time for it", func() {
		n := namespace(nil)
		mutatePods(n, jsonPatch(`[JSONPatch{op: "add", path: "/spec/initContainers", value: [
			{"name": "istio-proxy", "image": "proxy:1", "restartPolicy": "Always"}]}]`))
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
		denyPods(n, "has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, o.apiVersion == 'apps/v1' && o.kind == 'ReplicaSet' && "+
			"has(o.controller) && o.controller && object.metadata.generateName == o.name + '-' && "+
			"o.name.endsWith('-' + object.metadata.labels['pod-template-hash']))")
		bare := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "bare", Namespace: n},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "bare", Image: "bare:1"}}},
		}
		Eventually(func() error { return api.Create(ctx, bare.DeepCopy(), client.DryRunAll) }).Should(MatchError(ContainSubstring("no bare pods")))
		Expect(tried(testapp.New(in(n)))()).To(BeEmpty())
	})
}

// denyPods lets a ValidatingAdmissionPolicy deny pods in a namespace, unless the expression is true, until the test ends.
func denyPods(namespace, unless string) {
	GinkgoHelper()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: createsPods},
			Validations:      []admissionregistrationv1.Validation{{Expression: unless, Message: "no bare pods"}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: namespace, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			MatchResources: only(namespace),
		},
	}
	Expect(api.Create(ctx, policy)).To(Succeed())
	Expect(api.Create(ctx, binding)).To(Succeed())
	DeferCleanup(func() {
		Expect(api.Delete(ctx, binding)).To(Succeed())
		Expect(api.Delete(ctx, policy)).To(Succeed())
	})
}

// mutatePods lets a MutatingAdmissionPolicy change the pods of a namespace until the test ends.
func mutatePods(namespace string, mutations ...admissionregistrationv1.Mutation) {
	GinkgoHelper()
	mutate(namespace, createsPods, mutations...)
}

func mutate(namespace string, rules []admissionregistrationv1.NamedRuleWithOperations, mutations ...admissionregistrationv1.Mutation) {
	GinkgoHelper()
	policy, err := testapp.MutatingPolicy(api, &admissionregistrationv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
			MatchConstraints:   &admissionregistrationv1.MatchResources{ResourceRules: rules},
			Mutations:          mutations,
		},
	})
	Expect(err).NotTo(HaveOccurred())
	binding, err := testapp.MutatingPolicy(api, &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec:       admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: namespace, MatchResources: only(namespace)},
	})
	Expect(err).NotTo(HaveOccurred())
	Expect(api.Create(ctx, policy)).To(Succeed())
	Expect(api.Create(ctx, binding)).To(Succeed())
	DeferCleanup(func() {
		Expect(api.Delete(ctx, binding)).To(Succeed())
		Expect(api.Delete(ctx, policy)).To(Succeed())
	})
}

func only(namespace string) *admissionregistrationv1.MatchResources {
	return &admissionregistrationv1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
	}
}

var createsPods = []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
	Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
	Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
}}}

func jsonPatch(expression string) admissionregistrationv1.Mutation {
	return admissionregistrationv1.Mutation{
		PatchType: admissionregistrationv1.PatchTypeJSONPatch, JSONPatch: &admissionregistrationv1.JSONPatch{Expression: expression},
	}
}
