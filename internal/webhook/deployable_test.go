package webhook

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// refusedByServer lists specs that pass the checks of the operator and that the API server rejects, with the API server's message.
var refusedByServer = []struct {
	name   string
	modify testapp.Modifier
	says   string
}{
	{name: "an invalid image name", modify: func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Spec.Containers[0].Image = ""
	}, says: "spec.template.spec.containers[0].image: Required value"},
	{name: "a variable, at the place that it has in the user's template", modify: func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B="}}
	}, says: "spec.template.spec.containers[0].env[1].name: Invalid value"},
	{name: "a Service, by the field of the GracefulApp", modify: func(app *v1alpha1.GracefulApp) {
		app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.300"}}
	}, says: "spec.service.spec.clusterIPs[0]: Invalid value"},
	{name: "a label of the Service", modify: func(app *v1alpha1.GracefulApp) {
		app.Spec.Service = &v1alpha1.ServiceTemplate{Metadata: v1alpha1.ServiceMetadata{Labels: map[string]string{"a": "b c"}}}
	}, says: "spec.service.metadata.labels: Invalid value"},
	{name: "a priority class, which is checked for pods only", modify: func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Spec.PriorityClassName = "no-such-class"
	}, says: "no PriorityClass with name no-such-class was found"},
	{name: "a node port out of the cluster's range, which no dry run allocates", modify: func(app *v1alpha1.GracefulApp) {
		app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: 8080}},
		}}
	}, says: "spec.service.spec.ports[0].nodePort: Invalid value: 8080: the cluster's node ports are 30000-32767"},
	{name: "limits below requests", modify: func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Spec.Containers[0].Resources = corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
		}
	}, says: "spec.template.spec.containers[0].resources.requests: Invalid value"},
}

func namespace(labels map[string]string) string {
	GinkgoHelper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "dry-run-", Labels: labels}}
	Expect(api.Create(ctx, n)).To(Succeed())
	return n.Name
}

func in(namespace string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) { app.Namespace = namespace }
}

// drainedBySidecar gives the app a drain sidecar. The webhook of the tests has no image of its own for it.
func drainedBySidecar(app *v1alpha1.GracefulApp) {
	app.Annotations = map[string]string{v1alpha1.AnnotationDrainImage: "proxy:1"}
	testapp.DrainSidecar(app)
}

func cpu(quantity string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(quantity)}
}

// limitContainers creates a LimitRange for the containers of a namespace.
func limitContainers(namespace string, item corev1.LimitRangeItem) {
	GinkgoHelper()
	item.Type = corev1.LimitTypeContainer
	Expect(api.Create(ctx, &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "containers", Namespace: namespace}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{item}},
	})).To(Succeed())
}

func describeDeployable() {
	AfterEach(cleanUp)

	for _, r := range refusedByServer {
		It("is rejected for "+r.name, func() {
			Expect(api.Create(ctx, testapp.New(r.modify))).To(MatchError(ContainSubstring(r.says)))
			app := testapp.New()
			Expect(api.Create(ctx, app)).To(Succeed())
			Expect(patch(app, r.modify)).To(MatchError(ContainSubstring(r.says)))
		})
	}

	It("is accepted with probes, a hook and a variable of a native sidecar that the Service targets", func() {
		sidecar := func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.InitContainers = []corev1.Container{{
				Name: "proxy", Image: "proxy:1", RestartPolicy: new(corev1.ContainerRestartPolicyAlways),
				Ports: []corev1.ContainerPort{{Name: "proxy", ContainerPort: 4180}},
			}}
			app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{
				Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("proxy")}},
			}}
		}
		Expect(api.Create(ctx, testapp.New(sidecar))).To(Succeed())
		broken := func(app *v1alpha1.GracefulApp) {
			sidecar(app)
			app.Spec.Template.Spec.InitContainers[0].Env = []corev1.EnvVar{{Name: "A="}}
		}
		Expect(api.Create(ctx, testapp.New(broken), client.DryRunAll)).To(MatchError(
			ContainSubstring("spec.template.spec.initContainers[0].env[0].name: Invalid value")))
	})

	It("is rejected if Pod Security forbids its pods", func() {
		n := namespace(map[string]string{"pod-security.kubernetes.io/enforce": "baseline"})
		host := func(app *v1alpha1.GracefulApp) { app.Spec.Template.Spec.HostNetwork = true }
		Expect(api.Create(ctx, testapp.New(in(n), host))).To(MatchError(And(
			ContainSubstring("spec.template.spec: Forbidden"), ContainSubstring(`violates PodSecurity "baseline:latest"`))))
		Expect(api.Create(ctx, testapp.New(in(n)))).To(Succeed())
	})

	It("is accepted with a warning while a quota is exhausted, because no change of the spec helps", func() {
		n := namespace(nil)
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: "none", Namespace: n},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
		}
		Expect(api.Create(ctx, quota)).To(Succeed())
		quota.Status = corev1.ResourceQuotaStatus{
			Hard: quota.Spec.Hard, Used: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")},
		}
		Expect(api.Status().Update(ctx, quota)).To(Succeed())
		Eventually(func() []string {
			Expect(api.Create(ctx, testapp.New(in(n)), client.DryRunAll)).To(Succeed())
			return warned.take()
		}).Should(ContainElement(ContainSubstring("the API server currently rejects the Pod, and the operator will retry")))
	})

	It("is rejected if a quota requires limits that the spec can set", func() {
		n := namespace(nil)
		hard := corev1.ResourceList{corev1.ResourceLimitsCPU: resource.MustParse("10")}
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "limits", Namespace: n}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}
		Expect(api.Create(ctx, quota)).To(Succeed())
		quota.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: corev1.ResourceList{corev1.ResourceLimitsCPU: resource.MustParse("0")}}
		Expect(api.Status().Update(ctx, quota)).To(Succeed())
		Eventually(func() error { return api.Create(ctx, testapp.New(in(n)), client.DryRunAll) }).Should(
			MatchError(ContainSubstring("failed quota: limits: must specify limits.cpu for: hello")))
		limits := func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.Containers[0].Resources.Limits = cpu("1")
		}
		Expect(api.Create(ctx, testapp.New(in(n), limits), client.DryRunAll)).To(Succeed())

		By("the drain sidecar needs limits too")
		Expect(api.Create(ctx, testapp.New(in(n), limits, drainedBySidecar), client.DryRunAll)).To(MatchError(And(
			ContainSubstring("spec.drain.sidecar.resources: Forbidden"), ContainSubstring("must specify limits.cpu for: graceful-drain; graceful-drain is "+
				"the drain sidecar: set its limits.cpu in spec.drain.sidecar.resources"))))
		sidecarLimits := func(app *v1alpha1.GracefulApp) {
			app.Spec.Drain.Sidecar = &v1alpha1.DrainSidecar{Resources: &v1alpha1.DrainResources{Limits: cpu("1")}}
		}
		Expect(api.Create(ctx, testapp.New(in(n), limits, drainedBySidecar, sidecarLimits), client.DryRunAll)).To(Succeed())
	})

	It("is rejected if its drain sidecar does not fit a LimitRange, which names no container", func() {
		n := namespace(nil)
		limitContainers(n, corev1.LimitRangeItem{Min: cpu("50m")})
		smaller := func(app *v1alpha1.GracefulApp) {
			app.Spec.Drain.Sidecar = &v1alpha1.DrainSidecar{Resources: &v1alpha1.DrainResources{Requests: cpu("10m")}}
		}
		Eventually(func() error { return api.Create(ctx, testapp.New(in(n), drainedBySidecar, smaller), client.DryRunAll) }).Should(MatchError(
			ContainSubstring("the API server rejects the Pod: pods \"hello\" is forbidden: minimum cpu usage per Container is 50m, but request is 10m; the pod includes the drain sidecar, container graceful-drain " +
				"(requests: cpu=10m, memory=64Mi; limits: none), and spec.drain.sidecar.resources changes its resources")))
		Expect(api.Create(ctx, testapp.New(in(n), drainedBySidecar), client.DryRunAll)).To(Succeed())
	})

	It("is rejected with the source of a limit that the spec does not set", func() {
		n := namespace(nil)
		limitContainers(n, corev1.LimitRangeItem{Default: cpu("20m")})
		Eventually(func() error { return api.Create(ctx, testapp.New(in(n), drainedBySidecar), client.DryRunAll) }).Should(MatchError(And(
			ContainSubstring("spec.template.spec.containers[0].resources.requests: Invalid value: \"50m\": must be less than or equal to cpu limit of 20m; "+
				"the spec sets no cpu limit here, so it comes from a LimitRange"),
			ContainSubstring("spec.drain.sidecar.resources.requests: Invalid value: \"50m\""))))
	})

	It("is rejected if the API server is too old for a field of its pods", func() {
		minor, err := testapp.MinorVersion(config)
		Expect(err).NotTo(HaveOccurred())
		err = api.Create(ctx, testapp.New(testapp.NewerField), client.DryRunAll)
		if minor > 34 {
			Expect(err).NotTo(HaveOccurred())
			return
		}
		Expect(err).To(MatchError(ContainSubstring(`spec.template.spec.volumes[name="certificate"].projected.sources[0].podCertificate.userAnnotations: ` +
			"Forbidden: the API server does not have this field")))
	})

	It("is accepted with a warning if the dry run fails", func() {
		n := namespace(nil)
		hook := &admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: n},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name: "away.example.com", AdmissionReviewVersions: []string{"v1"}, FailurePolicy: new(admissionregistrationv1.Fail),
				SideEffects:       new(admissionregistrationv1.SideEffectClassNone),
				ClientConfig:      admissionregistrationv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")},
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: n}},
				Rules: []admissionregistrationv1.RuleWithOperations{{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
				}},
			}},
		}
		Expect(api.Create(ctx, hook)).To(Succeed())
		DeferCleanup(func() { Expect(api.Delete(ctx, hook)).To(Succeed()) })
		Eventually(func() []string {
			Expect(api.Create(ctx, testapp.New(in(n)), client.DryRunAll)).To(Succeed())
			return warned.take()
		}).Should(ContainElement(And(HavePrefix("the dry run failed for the Deployment, so the API server may still reject it"),
			ContainSubstring("away.example.com"))))
	})

	It("is rejected with the message of a policy", func() {
		n := namespace(nil)
		enforce(testapp.Denying(n, testapp.WritesIn(n, "apps", "deployments"),
			admissionregistrationv1.Validation{Expression: "object.spec.replicas != 2", Message: "two is unlucky here"}))
		Eventually(func() error { return api.Create(ctx, testapp.New(in(n)), client.DryRunAll) }).
			Should(MatchError(ContainSubstring("two is unlucky here")))
	})

	It("is rejected for a change of an immutable field, also after another client has annotated the Service", func() {
		n := namespace(nil)
		app := testapp.New(in(n))
		Expect(api.Create(ctx, app)).To(Succeed())
		p, errs, _ := plan.For(app, plan.Running{})
		Expect(errs).To(BeEmpty())
		Expect(api.Apply(ctx, p.Service, client.FieldOwner(plan.FieldManager))).To(Succeed())
		service := &corev1.Service{}
		Expect(api.Get(ctx, client.ObjectKeyFromObject(app), service)).To(Succeed())
		service.Annotations = map[string]string{"example.com/note": "annotated"}
		Expect(api.Update(ctx, service, client.FieldOwner("kubectl-annotate"))).To(Succeed())
		address := func(app *v1alpha1.GracefulApp) {
			app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{ClusterIP: freeAddress}}
		}
		Eventually(func() error { return patch(app.DeepCopy(), address) }).Should(
			MatchError(And(ContainSubstring("spec.service.spec.clusterIPs[0]: Invalid value"), ContainSubstring("may not change once set"),
				ContainSubstring("kubectl annotate service hello -n "+n+" apps.gracefulapp.dev/allow-deletion=true, then make this change again, then "+
					"kubectl delete service hello -n "+n))))
		By("and accepted once the Service may be deleted")
		Expect(api.Get(ctx, client.ObjectKeyFromObject(app), service)).To(Succeed())
		service.Annotations[v1alpha1.AnnotationAllowDeletion] = "true"
		Expect(api.Update(ctx, service, client.FieldOwner("kubectl-annotate"))).To(Succeed())
		Eventually(func() error { return patch(app.DeepCopy(), address) }).Should(Succeed())
	})

	It("is accepted with a warning if objects of other owners have its name", func() {
		n := namespace(nil)
		foreign := &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "hello", Namespace: n},
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "theirs"}},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "theirs"}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "theirs", Image: "theirs:1"}}},
				},
			},
		}
		budget := &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Name: "theirs", Namespace: n},
			Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{
				MatchLabels: map[string]string{"apps.gracefulapp.dev/name": "hello"},
			}},
		}
		Expect(api.Create(ctx, foreign)).To(Succeed())
		Expect(api.Create(ctx, budget)).To(Succeed())
		Eventually(func() []string {
			Expect(api.Create(ctx, testapp.New(in(n)), client.DryRunAll)).To(Succeed())
			return warned.take()
		}).Should(ConsistOf(
			HavePrefix("Deployment hello (not controlled by anything) already exists"),
			HavePrefix("PodDisruptionBudget theirs selects the app's pods already"),
		))
		By("the spec is still checked by a dry run")
		bad := testapp.New(in(n), testapp.Image(""))
		Expect(api.Create(ctx, bad)).To(MatchError(ContainSubstring("spec.template.spec.containers[0].image: Required value")))
	})
}
