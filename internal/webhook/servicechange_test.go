package webhook

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

func serviceSpec(spec corev1.ServiceSpec) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) { app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: *spec.DeepCopy()} }
}

// clusterIP is the spec with the type ClusterIP, and else unchanged.
func clusterIP(spec corev1.ServiceSpec) corev1.ServiceSpec {
	spec.Type = corev1.ServiceTypeClusterIP
	return spec
}

// runService creates an app and, as the controller would, its Service.
func runService(app *v1alpha1.GracefulApp) {
	GinkgoHelper()
	Expect(api.Create(ctx, app)).To(Succeed())
	p, errs, _ := plan.For(app, plan.Running{})
	Expect(errs).To(BeEmpty())
	Expect(api.Apply(ctx, p.Service, client.FieldOwner(plan.FieldManager))).To(Succeed())
}

// exposed are Services with a field that depends on another field, and the same without the other field. The API server drops the field from the
// update and refuses it in the next one.
var exposed = []struct {
	name          string
	before, after corev1.ServiceSpec
	field         string
}{
	{
		name:   "loadBalancerClass",
		before: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: new("example.com/internal")},
		field:  "spec.service.spec.loadBalancerClass",
	},
	{
		name:   "externalTrafficPolicy",
		before: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal},
		field:  "spec.service.spec.externalTrafficPolicy",
	},
	{
		name:   "nodePort",
		before: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: 30_180}}},
		field:  "spec.service.spec.ports[0].nodePort",
	},
	{
		name:   "allocateLoadBalancerNodePorts",
		before: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, AllocateLoadBalancerNodePorts: new(false)},
		field:  "spec.service.spec.allocateLoadBalancerNodePorts",
	},
	{
		name: "healthCheckNodePort",
		before: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, HealthCheckNodePort: 30_181,
		},
		after: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, HealthCheckNodePort: 30_181},
		field: "spec.service.spec.healthCheckNodePort",
	},
}

func describeServiceChange() {
	AfterEach(cleanUp)

	for _, e := range exposed {
		It("is refused if it keeps "+e.name+" without the field on which it depends", func() {
			after := e.after
			if after.Type == "" {
				after = clusterIP(e.before)
			}
			app := testapp.New(in(namespace(nil)), serviceSpec(e.before))
			runService(app)
			Eventually(func() error { return patch(app.DeepCopy(), serviceSpec(after), client.DryRunAll) }).Should(
				MatchError(ContainSubstring(e.field)))
			By("and accepted without it")
			Expect(patch(app.DeepCopy(), serviceSpec(corev1.ServiceSpec{}), client.DryRunAll)).To(Succeed())
		})
	}

	It("is accepted with the node port that the Service has, where a policy changes the Service", func() {
		n := namespace(nil)
		ports := corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: 30_182}}}
		app := testapp.New(in(n), serviceSpec(ports))
		runService(app)
		enforce(testapp.Mutating(n, on(n, "services", admissionregistrationv1.Update),
			testapp.JSONPatch(`[JSONPatch{op: "replace", path: "/spec/sessionAffinity", value: "None"}]`)))
		sticky := *ports.DeepCopy()
		sticky.SessionAffinity = corev1.ServiceAffinityClientIP
		live := &corev1.Service{ObjectMeta: app.ObjectMeta}
		Eventually(func(g Gomega) { // until the policy is in force
			g.Expect(api.Get(ctx, client.ObjectKeyFromObject(app), live)).To(Succeed())
			live.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
			g.Expect(api.Update(ctx, live, client.DryRunAll)).To(Succeed())
			g.Expect(live.Spec.SessionAffinity).To(Equal(corev1.ServiceAffinityNone))
		}).Should(Succeed())
		Expect(patch(app.DeepCopy(), serviceSpec(sticky), client.DryRunAll)).To(Succeed())
	})
}
