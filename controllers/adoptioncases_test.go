package controllers

import (
	"reflect"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// decoded creates the object of a manifest, with the test's name and namespace.
func decoded[T client.Object](w *testEnv, object T, manifest string) T {
	GinkgoHelper()
	Expect(yaml.UnmarshalStrict([]byte(manifest), object)).To(Succeed())
	object.SetName(w.key.Name)
	object.SetNamespace(w.namespace)
	Expect(api.Create(ctx, object)).To(Succeed())
	return object
}

// legacyDeployment is a Deployment as users have it: strategy Recreate, an exec hook, and a volume that the GracefulApp lacks. PORT is a placeholder.
const legacyDeployment = `
spec:
  replicas: 2
  strategy: {type: Recreate}
  minReadySeconds: 7
  selector: {matchLabels: {app: legacy}}
  template:
    metadata: {labels: {app: legacy}}
    spec:
      terminationGracePeriodSeconds: 10
      containers:
      - name: legacy
        image: hello:0.1.0
        env: [{name: STARTUP_SEC, value: "1"}, {name: REQUEST_SEC, value: "0"}]
        ports: [PORT]
        readinessProbe: {tcpSocket: {port: 8080}}
        lifecycle: {preStop: {exec: {command: [/hello, version]}}}
        volumeMounts: [{name: scratch, mountPath: /scratch}]
      volumes: [{name: scratch, emptyDir: {}}]
`

const legacyService = `
spec: {type: NodePort, sessionAffinity: ClientIP, selector: {app: legacy}, ports: [{port: 80, targetPort: TARGET}]}
`

const legacyApp = `
metadata: {annotations: {apps.gracefulapp.dev/adopt: "true"}}
spec:
  paused: true
  replicas: 2
  selector: {matchLabels: {app: legacy}}
  timing: {startupSeconds: 2, requestSeconds: 1}
  service: {spec: {type: NodePort, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: 8080}]}}
  template:
    metadata: {labels: {app: legacy}}
    spec:
      containers:
      - name: legacy
        image: hello:0.1.0
        env: [{name: STARTUP_SEC, value: "1"}, {name: REQUEST_SEC, value: "0"}]
        ports: [PORT]
        readinessProbe: {httpGet: {path: /readyz, port: 8080}}
        livenessProbe: {httpGet: {path: /livez, port: 8080}}
        lifecycle: {preStop: {httpGet: {path: /drain, port: 8080}}}
`

var _ = Describe("An adoption of existing objects", func() {
	DescribeTable("changes nothing for the clients of the Service until the rollout has finished", func(old, target, written string) {
		w := newTestEnv()
		decoded(w, &appsv1.Deployment{}, strings.ReplaceAll(legacyDeployment, "PORT", old))
		before := decoded(w, &corev1.Service{}, strings.ReplaceAll(legacyService, "TARGET", target))
		w.rollOut()
		decoded(w, &v1alpha1.GracefulApp{}, strings.ReplaceAll(legacyApp, "PORT", written))
		serves := func() {
			GinkgoHelper()
			service := fetch(w, &corev1.Service{}).Spec
			if target != "web" {
				Expect(service).To(Equal(before.Spec))
			}
			Expect(service.Ports[0].TargetPort).To(Equal(intstr.FromInt32(8080)))
		}
		w.reconcile()
		serves()
		w.reconcile()
		serves()
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("Stalled")))
		d := w.deployment()
		Expect(d.Spec.Paused).To(BeTrue())

		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Paused = nil })
		w.reconcile()
		serves()
		d = w.deployment()
		Expect(d.Spec.Strategy.Type).To(Equal(appsv1.RollingUpdateDeploymentStrategyType))
		Expect(d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntVal).To(BeZero())
		Expect(d.Spec.MinReadySeconds).To(BeEquivalentTo(5))
		Expect(d.Spec.Template.Spec.Volumes).To(BeEmpty())
		c := d.Spec.Template.Spec.Containers[0]
		Expect(c.VolumeMounts).To(BeEmpty())
		Expect(c.Lifecycle.PreStop.Exec).To(BeNil())
		Expect(c.ReadinessProbe.TCPSocket).To(BeNil())
		w.rollOut()
		w.reconcile()
		Expect(fetch(w, &corev1.Service{}).Spec.Ports[0].TargetPort).To(Equal(intstr.FromString("http")))
		w.reconcile()
		Expect(w.reconcile()).To(BeEmpty())
		Expect(w.conditions()).To(ConsistOf(available))
	},
		Entry("no named port", "{containerPort: 8080}", "8080", "{containerPort: 8080}"),
		Entry("a port of another name, and its number as the target", "{name: web, containerPort: 8080}", "8080", "{name: http, containerPort: 8080}"),
		Entry("a port of another name, which is the target", "{name: web, containerPort: 8080}", "web", "{name: http, containerPort: 8080}"),
	)

	It("adopts the Deployment at once, if it is not paused, and replaces the strategy Recreate", func() {
		w := newTestEnv()
		decoded(w, &appsv1.Deployment{}, strings.ReplaceAll(legacyDeployment, "PORT", "{containerPort: 8080}"))
		w.rollOut()
		decoded(w, &v1alpha1.GracefulApp{}, strings.ReplaceAll(strings.ReplaceAll(legacyApp, "PORT", "{containerPort: 8080}"), "paused: true", "paused: false"))
		w.reconcile()
		w.reconcile()
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("Stalled")), w.readyMessage())
		Expect(w.deployment().Spec.Strategy.Type).To(Equal(appsv1.RollingUpdateDeploymentStrategyType))
	})

	It("is rejected if the app leaves out that the Service's port has no name", func() {
		w := newTestEnv()
		old := strings.NewReplacer("app: legacy", "app: shop", "PORT", "{containerPort: 8080}", "TARGET", "8080",
			"type: NodePort, sessionAffinity: ClientIP, ", "")
		decoded(w, &appsv1.Deployment{}, old.Replace(legacyDeployment))
		before := decoded(w, &corev1.Service{}, old.Replace(legacyService))
		_, rest, _ := strings.Cut(legacyApp, "  template:")
		start, _, _ := strings.Cut(legacyApp, "  service:")
		decoded(w, &v1alpha1.GracefulApp{}, old.Replace(start+"  template:"+rest))
		w.reconcile()
		Expect(w.readyMessage()).To(ContainSubstring(`to keep it as it is, write service: {"spec":{"ports":[{"port":80,"targetPort":8080}]}}`))
		Expect(fetch(w, &corev1.Service{}).ResourceVersion).To(Equal(before.ResourceVersion))
		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}}}
		})
		w.reconcile()
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("Stalled")))
		Expect(fetch(w, &corev1.Service{}).Spec).To(Equal(before.Spec))
	})

	It("of a Service alone keeps the pods of another Deployment as endpoints until the app's pods are available", func() {
		w := newTestEnv()
		before := decoded(w, &corev1.Service{}, strings.ReplaceAll(legacyService, "TARGET", "8080"))
		decoded(w, &v1alpha1.GracefulApp{}, strings.ReplaceAll(legacyApp, "PORT", "{containerPort: 8080}"))
		for range 2 {
			w.reconcile()
			Expect(fetch(w, &corev1.Service{}).Spec).To(Equal(before.Spec))
		}
		d := w.deployment()
		d.Status.ObservedGeneration = d.Generation
		Expect(api.Status().Update(ctx, d)).To(Succeed())
		w.reconcile()
		Expect(fetch(w, &corev1.Service{}).Spec).To(Equal(before.Spec), "its Deployment is paused and has no pod")
		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Paused = nil })
		w.reconcile()
		Expect(fetch(w, &corev1.Service{}).Spec).To(Equal(before.Spec))
		w.rollOut()
		w.reconcile()
		Expect(fetch(w, &corev1.Service{}).Spec.Ports[0].TargetPort).To(Equal(intstr.FromString("http")))
	})

	It("of a PodDisruptionBudget with minAvailable replaces it", func() {
		w := newTestEnv()
		before := decoded(w, &policyv1.PodDisruptionBudget{}, "spec: {minAvailable: 50%, selector: {matchLabels: {app: legacy}}}")
		decoded(w, &v1alpha1.GracefulApp{}, strings.ReplaceAll(legacyApp, "PORT", "{containerPort: 8080}"))
		w.reconcile()
		Expect(w.budget().UID).To(Equal(before.UID))
		Expect(w.budget().Spec.MinAvailable).To(BeNil())
		Expect(w.budget().Spec.MaxUnavailable.IntVal).To(BeEquivalentTo(1))
		w.reconcile()
		Expect(w.reconcile()).To(BeEmpty())
	})

	It("leaves a PodDisruptionBudget with another selector, which may protect other pods", func() {
		for _, replicas := range []string{"replicas: 2", "replicas: 1"} {
			w := newTestEnv()
			before := decoded(w, &policyv1.PodDisruptionBudget{}, "spec: {minAvailable: 1, selector: {matchExpressions: [{key: app, operator: In, values: [legacy, worker]}]}}")
			decoded(w, &v1alpha1.GracefulApp{}, strings.NewReplacer("PORT", "{containerPort: 8080}", "replicas: 2", replicas).Replace(legacyApp))
			w.reconcile()
			Expect(w.budget().ResourceVersion).To(Equal(before.ResourceVersion))
			Expect(w.conditions()).NotTo(ContainElement(HavePrefix("Stalled")), w.readyMessage())
		}
	})

	It("of a PodDisruptionBudget deletes it if the app has one replica, because it would prevent the eviction of the only pod", func() {
		w := newTestEnv()
		decoded(w, &policyv1.PodDisruptionBudget{}, "spec: {minAvailable: 1, selector: {matchLabels: {app: legacy}}}")
		decoded(w, &v1alpha1.GracefulApp{}, strings.NewReplacer("PORT", "{containerPort: 8080}", "replicas: 2", "replicas: 1").Replace(legacyApp))
		w.reconcile()
		w.absent(&policyv1.PodDisruptionBudget{})
	})

	It("writes nothing to the Deployment, not even its managed fields, if the API server refuses the derived one", func() {
		w := newTestEnv()
		manifests := strings.NewReplacer("PORT", "{containerPort: 8080}", "    spec:\n      containers:\n      - name: legacy\n",
			"    spec:\n      containers:\n      - name: legacy\n        volumeMounts: [{name: missing, mountPath: /missing}]\n")
		d := decoded(w, &appsv1.Deployment{}, strings.ReplaceAll(legacyDeployment, "PORT", "{containerPort: 8080}"))
		decoded(w, &v1alpha1.GracefulApp{}, manifests.Replace(legacyApp))
		for range 2 {
			w.reconcile()
			Expect(w.conditions()).To(ContainElement("Stalled=True Rejected"))
			Expect(w.readyMessage()).To(ContainSubstring("missing"))
			Expect(w.deployment().ResourceVersion).To(Equal(d.ResourceVersion))
		}
	})

	It("can be undone by kubectl replace with the old manifests, which restarts no pod while it is paused", func() {
		w := newTestEnv()
		manifests := strings.NewReplacer("PORT", "{containerPort: 8080}", "TARGET", "8080")
		d := decoded(w, &appsv1.Deployment{}, manifests.Replace(legacyDeployment))
		service := decoded(w, &corev1.Service{}, manifests.Replace(legacyService))
		w.rollOut()
		decoded(w, &v1alpha1.GracefulApp{}, manifests.Replace(legacyApp))
		w.reconcile()
		Expect(api.Delete(ctx, w.app())).To(Succeed())
		for object, manifest := range map[client.Object]string{
			w.deployment(): manifests.Replace(legacyDeployment), fetch(w, &corev1.Service{}): manifests.Replace(legacyService),
		} {
			object.SetOwnerReferences(nil) // as kubectl delete --cascade=orphan leaves them
			Expect(api.Update(ctx, object)).To(Succeed())
			replacement := object.DeepCopyObject().(client.Object)
			reflect.ValueOf(replacement).Elem().SetZero()
			Expect(yaml.UnmarshalStrict([]byte(manifest), replacement)).To(Succeed())
			replacement.SetName(w.key.Name)
			replacement.SetNamespace(w.namespace)
			Expect(api.Update(ctx, replacement)).To(Succeed())
		}
		Expect(w.deployment().Spec).To(Equal(d.Spec), "an equal template belongs to the ReplicaSet that runs")
		Expect(fetch(w, &corev1.Service{}).Spec).To(Equal(service.Spec))
	})

	It("of a Deployment that kubectl rollout pause has paused resumes it", func() {
		w := newTestEnv()
		old := decoded(w, &appsv1.Deployment{}, strings.ReplaceAll(legacyDeployment, "PORT", "{containerPort: 8080}"))
		w.rollOut()
		Expect(api.Patch(ctx, old, client.RawPatch(types.StrategicMergePatchType, []byte(`{"spec":{"paused":true}}`)),
			client.FieldOwner("kubectl-rollout"))).To(Succeed())
		decoded(w, &v1alpha1.GracefulApp{}, strings.ReplaceAll(legacyApp, "PORT", "{containerPort: 8080}"))
		w.reconcile()
		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Paused = nil })
		w.reconcile()
		Expect(w.deployment().Spec.Paused).To(BeFalse())
	})

	It("of a Deployment with zero replicas keeps it at zero", func() {
		w := newTestEnv()
		none := strings.NewReplacer("replicas: 2", "replicas: 0", "PORT", "{containerPort: 8080}", "TARGET", "8080")
		decoded(w, &appsv1.Deployment{}, none.Replace(legacyDeployment))
		decoded(w, &corev1.Service{}, none.Replace(legacyService))
		w.rollOut()
		decoded(w, &v1alpha1.GracefulApp{}, none.Replace(legacyApp))
		w.reconcile()
		w.rollOut()
		w.reconcile()
		w.reconcile()
		Expect(*w.deployment().Spec.Replicas).To(BeZero())
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("Stalled")), w.readyMessage())
		Expect(w.reconcile()).To(BeEmpty())
	})

	It("of orphaned objects of a deleted app keeps the pods and the derivation version", func() {
		w := newTestEnv()
		old := strings.NewReplacer("PORT", "{containerPort: 8080}", "paused: true", "paused: false", "TARGET", "8080")
		first := decoded(w, &v1alpha1.GracefulApp{}, old.Replace(legacyApp))
		w.reconcile()
		w.rollOut()
		before := w.deployment()
		Expect(api.Delete(ctx, first, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		for _, object := range []client.Object{w.deployment(), fetch(w, &corev1.Service{}), w.budget()} {
			object.SetOwnerReferences(nil) // as the garbage collector does, which envtest lacks
			Expect(api.Update(ctx, object)).To(Succeed())
		}
		decoded(w, &v1alpha1.GracefulApp{}, old.Replace(legacyApp))
		w.reconcile()
		Expect(w.deployment().Generation).To(Equal(before.Generation))
		Expect(metav1.IsControlledBy(w.deployment(), w.app())).To(BeTrue())
		w.reconcile()
		Expect(w.reconcile()).To(BeEmpty())
		Expect(w.conditions()).To(ConsistOf(available))
	})

	DescribeTable("with the spec.service that the message suggests does not change the Service", func(live string) {
		w := newTestEnv()
		ports := "{name: main, containerPort: 8080}, {name: udp, containerPort: 8080, protocol: UDP}, {name: admin, containerPort: 9090}"
		decoded(w, &appsv1.Deployment{}, strings.ReplaceAll(legacyDeployment, "PORT", "{containerPort: 8080}, {containerPort: 8080, protocol: UDP}, "+
			"{containerPort: 9090}"))
		w.rollOut()
		before := decoded(w, &corev1.Service{}, "spec: {selector: {app: legacy}, "+live+"}")
		start, _, _ := strings.Cut(legacyApp, "  service:")
		_, rest, _ := strings.Cut(legacyApp, "  template:")
		decoded(w, &v1alpha1.GracefulApp{}, strings.ReplaceAll(start+"  template:"+rest, "PORT", ports))
		w.reconcile()
		_, shown, found := strings.Cut(w.readyMessage(), "write service: ")
		Expect(found).To(BeTrue(), w.readyMessage())
		shown, _, _ = strings.Cut(shown, "; change it when")
		w.change(func(app *v1alpha1.GracefulApp) {
			Expect(yaml.UnmarshalStrict([]byte(shown), &app.Spec.Service)).To(Succeed())
		})
		w.reconcile()
		Expect(w.conditions()).NotTo(ContainElement(HavePrefix("Stalled")), w.readyMessage())
		Expect(fetch(w, &corev1.Service{}).Spec).To(Equal(before.Spec))
		w.reconcile()
		Expect(fetch(w, &corev1.Service{}).Spec).To(Equal(before.Spec))

		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Paused = nil })
		w.reconcile()
		w.rollOut()
		w.reconcile()
		after := fetch(w, &corev1.Service{}).Spec
		for i := range after.Ports {
			Expect(after.Ports[i].TargetPort.StrVal).NotTo(BeEmpty())
			after.Ports[i].TargetPort = before.Spec.Ports[i].TargetPort
		}
		Expect(after).To(Equal(before.Spec))
	},
		Entry("a port without a name", "ports: [{port: 80, targetPort: 8080}]"),
		Entry("headless", "clusterIP: None, ports: [{port: 8080}]"),
		Entry("a given address", "clusterIP: 10.0.200.7, ports: [{port: 80, targetPort: 8080}]"),
		Entry("given node ports, and several ports", `type: NodePort, ports: [{name: a, port: 80, targetPort: 8080, nodePort: 30123},
			{name: b, port: 81, targetPort: 9090, appProtocol: kubernetes.io/h2c, nodePort: 30124}]`),
		Entry("TCP and UDP of one number", "ports: [{name: tcp, port: 53, targetPort: 8080}, {name: udp, port: 53, targetPort: 8080, protocol: UDP}]"),
		Entry("a load balancer", `type: LoadBalancer, loadBalancerClass: example.com/lb, externalTrafficPolicy: Local, allocateLoadBalancerNodePorts: false,
			loadBalancerSourceRanges: [198.18.0.0/24], ports: [{name: https, port: 443, targetPort: 8080}]`),
		Entry("a load balancer with node ports and session affinity", `type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30999,
			sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}, ports: [{name: https, port: 443, targetPort: 8080}]`),
		Entry("internal traffic policy and traffic distribution", `internalTrafficPolicy: Local, trafficDistribution: PreferSameNode,
			ports: [{name: http, port: 80, targetPort: 8080}]`),
	)
})
