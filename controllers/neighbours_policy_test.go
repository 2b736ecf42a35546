package controllers

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// Kyverno and Gatekeeper are mutating webhooks that answer with a JSON patch. A MutatingAdmissionPolicy stands for them here: the API server runs
// it in the same phase.

// mutateBy creates a mutating policy and waits until it changes a Deployment in a dry run.
func (w *testEnv) mutateBy(probe func(*appsv1.Deployment), changed func(*appsv1.Deployment) bool, mutations ...admissionregistrationv1.Mutation) {
	GinkgoHelper()
	DeferCleanup(enforce(testapp.Mutating(w.namespace, testapp.WritesIn(w.namespace, "apps", "deployments"), mutations...)))
	Eventually(func(g Gomega) {
		d := w.running()
		d.Name, d.Labels = "probe", map[string]string{"app": "probe"}
		if probe != nil {
			probe(d)
		}
		g.Expect(api.Create(ctx, d, client.DryRunAll)).To(Succeed())
		g.Expect(changed(d)).To(BeTrue())
	}).WithTimeout(20*time.Second).Should(Succeed(), "the API server does not enforce the policy")
}

// settleUnderPolicy reconciles three times: to create the objects, to write the status, and to check that nothing is written any more. The third
// reconcile must not write even if a policy changes an applied field or adds to an applied list or empty struct (tolerations, resources: {}).
func (w *testEnv) settleUnderPolicy() {
	GinkgoHelper()
	for range 3 {
		w.reconcile()
		w.rollOut()
	}
	w.reconcile()
	before := w.deployment().ResourceVersion
	w.events.take()
	_, err := w.tryNow()
	Expect(err).NotTo(HaveOccurred())
	Expect(w.writes).To(BeEmpty())
	Expect(w.deployment().ResourceVersion).To(Equal(before), "a write triggers the next reconcile")
	Expect(w.events.take()).To(BeEmpty())
}

const (
	podInCEL      = "object.spec.template.spec"
	podPath       = "/spec/template/spec"
	containerPath = podPath + "/containers/0"
)

// capped is kyverno/policies, other/mutate-large-termination-gps, as Kyverno generates it for Deployments (pkg/autogen).
var capped = testapp.JSONPatch(podInCEL + `.terminationGracePeriodSeconds > 50 ? ` +
	`[JSONPatch{op: "replace", path: "` + podPath + `/terminationGracePeriodSeconds", value: 50}] : []`)

func isCapped(d *appsv1.Deployment) bool {
	return *d.Spec.Template.Spec.TerminationGracePeriodSeconds == 50
}

func withLongGrace(d *appsv1.Deployment) {
	d.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(300))
}

func longRequests(app *v1alpha1.GracefulApp) { app.Spec.Timing.RequestSeconds = 60 }

// tolerated is kyverno/policies, other/add-tolerations. It adds an entry to a list that server-side apply treats as atomic.
var tolerated = testapp.JSONPatch(`has(` + podInCEL + `.tolerations) ? (` + podInCEL + `.tolerations.exists(t, t.key == "org.com/role") ? [] : ` +
	`[JSONPatch{op: "add", path: "` + podPath + `/tolerations/-", value: {"key": "org.com/role", "operator": "Exists"}}]) : ` +
	`[JSONPatch{op: "add", path: "` + podPath + `/tolerations", value: [{"key": "org.com/role", "operator": "Exists"}]}]`)

func isTolerated(d *appsv1.Deployment) bool { return len(d.Spec.Template.Spec.Tolerations) > 0 }

// secretAdded is kyverno/policies, other/add-imagepullsecrets.
var secretAdded = testapp.JSONPatch(`has(` + podInCEL + `.imagePullSecrets) ? [] : ` +
	`[JSONPatch{op: "add", path: "` + podPath + `/imagePullSecrets", value: [{"name": "registry"}]}]`)

// added is kyverno/policies, other/add-labels, add-default-resources, add-default-securitycontext and always-pull-images.
var added = testapp.ApplyConfiguration(strings.ReplaceAll(`Object{
	metadata: Object.metadata{labels: {"team": "shop"}, annotations: {"example.com/policy": "seen"}},
	spec: Object.spec{template: Object.spec.template{
		metadata: Object.spec.template.metadata{labels: {"team": "shop"}, annotations: {"example.com/policy": "seen"}},
		spec: POD{
			securityContext: POD.securityContext{runAsNonRoot: true},
			containers: object.spec.template.spec.containers.map(c, POD.containers{
				name: c.name, imagePullPolicy: "Always", resources: POD.containers.resources{requests: {"cpu": "100m"}}
			})
		}
	}}
}`, "POD", "Object.spec.template.spec"))

func isAdded(d *appsv1.Deployment) bool { return d.Labels["team"] == "shop" }

var _ = Describe("Neighbour Kyverno", func() {
	It("that caps the grace period causes no endless writes: the app is Stalled with both values until it declares an allowed one", func() {
		w := newTestEnv()
		w.mutateBy(withLongGrace, isCapped, capped)
		w.create(longRequests)
		w.reconcile()
		Expect(isCapped(w.deployment())).To(BeTrue())
		w.rollOut()
		w.reconcile()
		Expect(w.conditions()).To(ConsistOf("Ready=False Altered", "Stalled=True Altered"))
		Expect(w.readyMessage()).To(ContainSubstring("spec.template.spec.terminationGracePeriodSeconds is 50 instead of 75"))
		w.settleUnderPolicy()
		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Timing.RequestSeconds = 30 })
		w.settle()
		Expect(w.conditions()).To(ConsistOf(available))
	})

	DescribeTable("that adds fields that the app leaves out causes no write",
		func(own []corev1.Toleration) {
			w := newTestEnv()
			w.mutateBy(nil, func(d *appsv1.Deployment) bool { return isTolerated(d) && isAdded(d) }, added, secretAdded, tolerated)
			w.create(testapp.NoResources, func(app *v1alpha1.GracefulApp) { app.Spec.Template.Spec.Tolerations = own })
			w.settleUnderPolicy()
			Expect(w.conditions()).To(ConsistOf(available))
			w.scaler(hpaAgent).set(5)
			w.change(testapp.Image("hello:0.2.0"))
			w.settleUnderPolicy()
			d := w.deployment()
			template := d.Spec.Template
			Expect(*d.Spec.Replicas).To(BeEquivalentTo(5))
			Expect([]string{d.Labels["team"], template.Labels["team"], template.Annotations["example.com/policy"]}).To(Equal([]string{"shop", "shop", "seen"}))
			Expect(template.Spec.ImagePullSecrets).To(ConsistOf(corev1.LocalObjectReference{Name: "registry"}))
			Expect(template.Spec.Tolerations).To(HaveLen(len(own) + 1))
			c := template.Spec.Containers[0]
			Expect([]string{c.Image, string(c.ImagePullPolicy), c.Resources.Requests.Cpu().String()}).To(Equal([]string{"hello:0.2.0", "Always", "100m"}))
			Expect(w.conditions()).To(ConsistOf(available))
		},
		Entry("if the app has no toleration", nil), Entry("if the app has a toleration", []corev1.Toleration{{Key: "spot", Operator: corev1.TolerationOpExists}}),
	)

	// This is kyverno/policies, other/replace-image-registry, for Deployments.
	It("that replaces the image registry is reported until the app uses that registry", func() {
		w := newTestEnv()
		isMoved := func(d *appsv1.Deployment) bool {
			return strings.HasPrefix(d.Spec.Template.Spec.Containers[0].Image, "mirror/")
		}
		w.mutateBy(nil, isMoved,
			testapp.JSONPatch(podInCEL+`.containers[0].image.startsWith("mirror/") ? [] : `+
				`[JSONPatch{op: "replace", path: "`+containerPath+`/image", value: "mirror/" + `+podInCEL+`.containers[0].image}]`))
		w.create()
		w.settleUnderPolicy()
		Expect(w.conditions()).To(ConsistOf("Ready=False Altered", "Stalled=True Altered"))
		Expect(w.readyMessage()).To(ContainSubstring(`spec.template.spec.containers[0].image is "mirror/hello:0.1.0" instead of "hello:0.1.0"`))
		before := w.deployment().Spec.Template
		w.change(testapp.Image("mirror/hello:0.1.0"))
		w.settle()
		Expect(w.conditions()).To(ConsistOf(available))
		Expect(w.deployment().Spec.Template).To(Equal(before), "no rollout must start")
	})

	It("and the manager stop writing, whether the policy caps or adds", func() {
		w := newTestEnv()
		w.mutateBy(withLongGrace, isCapped, capped, added, secretAdded, tolerated)
		var writes atomic.Int64
		startManager(func(r *GracefulAppReconciler) {
			r.Client = guardedClient{Client: r.Client, guard: func(ctx context.Context, next write) error {
				writes.Add(1)
				return next.send(ctx)
			}}
		})
		reasons := map[string]string{"capped": v1alpha1.ReasonAltered, "added": v1alpha1.ReasonAvailable}
		for name, reason := range reasons {
			w.key.Name = name
			w.create(testapp.NoResources, func(app *v1alpha1.GracefulApp) {
				app.Name = name
				app.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Key: "spot", Operator: corev1.TolerationOpExists}}
				if reason == v1alpha1.ReasonAltered {
					longRequests(app)
				}
			})
			Eventually(func() error { return api.Get(ctx, w.key, &appsv1.Deployment{}) }).WithTimeout(10 * time.Second).Should(Succeed())
			w.rollOut()
			Eventually(func(g Gomega) {
				ready := meta.FindStatusCondition(w.app().Status.Conditions, v1alpha1.ConditionReady)
				g.Expect(ready).To(HaveField("Reason", reason))
			}).Should(Succeed())
		}
		// A reconcile that the last status update triggered may still be running.
		var before int64
		Eventually(func(g Gomega) {
			last := before
			before = writes.Load()
			g.Expect(before).To(And(Equal(last), BeNumerically(">=", 2*4)), "two apps with three objects and a status each")
		}).WithTimeout(10*time.Second).WithPolling(2*countsDelay).Should(Succeed(), "counts are written a second later")
		Consistently(writes.Load).WithTimeout(time.Second).WithPolling(200 * time.Millisecond).Should(Equal(before))
	})

	// Source: kyverno/kyverno, pkg/background/mutate/mutate.go. The background controller updates the whole object without a field manager. The
	// annotation is from kyverno/policies, other/restart-deployment-on-secret-change.
	It("that mutates existing objects can restart pods, and its changes of derived fields are reverted with few writes", func() {
		w := newTestEnv()
		w.create()
		w.settle()
		mutate := func(change func(*appsv1.Deployment)) {
			GinkgoHelper()
			d := w.deployment()
			change(d)
			Expect(api.Update(ctx, d, client.FieldOwner("background-controller"))).To(Succeed())
		}
		for _, value := range []string{"a", "b"} {
			mutate(func(d *appsv1.Deployment) {
				d.Labels["team"] = "shop"
				d.Spec.Template.Annotations = map[string]string{"ops.corp.com/triggerrestart": value}
			})
			Expect(w.reconcile()).NotTo(ContainElement(HaveSuffix("Deployment")), "the operator does not own the label")
			Expect(w.settle()).To(BeNumerically("<=", 1), "only the status is written")
			Expect(w.deployment().Spec.Template.Annotations).To(HaveKeyWithValue("ops.corp.com/triggerrestart", value))
		}
		for range 3 {
			mutate(func(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 0 })
			Expect(w.settle()).To(BeNumerically("<=", 4), "one write takes over, one applies, and two update the status")
			d := w.deployment()
			Expect(d.Spec.MinReadySeconds).To(BeEquivalentTo(5))
			Expect(d.Labels).To(HaveKeyWithValue("team", "shop"))
		}
		Expect(w.conditions()).To(ConsistOf(available))
	})
})

var _ = Describe("Neighbour Gatekeeper", func() {
	// Source: open-policy-agent/gatekeeper, pkg/mutation/mutators: assignmeta/assignmeta_mutator.go (sets absent keys only),
	// assign/assign_mutator.go with core/setter.go (replaces any value), modifyset/modify_set_mutator.go (merge adds missing list entries,
	// prune removes entries). Samples: open-policy-agent/gatekeeper-library, mutation/pod-security-policy.
	It("AssignMetadata is kept, and changes no existing key", func() {
		assign := func(kind, key string) admissionregistrationv1.Mutation {
			return testapp.JSONPatch(fmt.Sprintf(`!has(object.metadata.%[1]s) ? [JSONPatch{op: "add", path: "/metadata/%[1]s", value: {%[2]q: "gatekeeper"}}] : `+
				`%[2]q in object.metadata.%[1]s ? [] : `+
				`[JSONPatch{op: "add", path: "/metadata/%[1]s/" + jsonpatch.escapeKey(%[2]q), value: "gatekeeper"}]`, kind, key))
		}
		w := newTestEnv()
		w.mutateBy(nil, func(d *appsv1.Deployment) bool { return d.Labels["owner"] != "" },
			assign("labels", "owner"), assign("labels", "app.kubernetes.io/managed-by"), assign("annotations", "example.com/owner"))
		w.create()
		w.settle()
		d := w.deployment()
		Expect(d.Labels).To(And(HaveKeyWithValue("owner", "gatekeeper"), HaveKeyWithValue("app.kubernetes.io/managed-by", "gracefulapp")))
		Expect(d.Annotations).To(HaveKeyWithValue("example.com/owner", "gatekeeper"))
		Expect(w.conditions()).To(ConsistOf(available))
	})

	It("Assign is kept for fields that the app leaves out, and reported for fields that the app sets to another value", func() {
		w := newTestEnv()
		w.mutateBy(nil, func(d *appsv1.Deployment) bool {
			return d.Spec.Template.Spec.Containers[0].ImagePullPolicy == corev1.PullAlways
		},
			testapp.JSONPatch(`[JSONPatch{op: "add", path: "`+containerPath+`/imagePullPolicy", value: "Always"}]`),
			testapp.JSONPatch(`has(`+podInCEL+`.containers[0].securityContext) ? [] : `+
				`[JSONPatch{op: "add", path: "`+containerPath+`/securityContext", value: {"readOnlyRootFilesystem": true}}]`))
		w.create()
		w.settle()
		c := w.deployment().Spec.Template.Spec.Containers[0]
		Expect(c.ImagePullPolicy).To(Equal(corev1.PullAlways))
		Expect(*c.SecurityContext.ReadOnlyRootFilesystem).To(BeTrue())
		Expect(w.conditions()).To(ConsistOf(available))

		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
		})
		w.settleUnderPolicy()
		Expect(w.conditions()).To(ConsistOf("Ready=False Altered", "Stalled=True Altered"))
		Expect(w.readyMessage()).To(ContainSubstring(`spec.template.spec.containers[0].imagePullPolicy is "Always" instead of "Never"`))
	})

	It("ModifySet is kept if it merges, and reported if it prunes", func() {
		w := newTestEnv()
		drop := containerPath + "/securityContext/capabilities/drop"
		w.mutateBy(withCapabilities, func(d *appsv1.Deployment) bool {
			return len(d.Spec.Template.Spec.Containers[0].SecurityContext.Capabilities.Drop) > 1
		}, testapp.JSONPatch(`"ALL" in `+podInCEL+`.containers[0].securityContext.capabilities.drop ? [] : [JSONPatch{op: "add", path: "`+drop+`/-", value: "ALL"}]`),
			testapp.JSONPatch(`has(`+podInCEL+`.containers[0].args) && `+podInCEL+`.containers[0].args.exists(a, a == "--debug") ? `+
				`[JSONPatch{op: "replace", path: "`+containerPath+`/args", value: `+podInCEL+`.containers[0].args.filter(a, a != "--debug")}] : []`))
		w.create(func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.Containers[0].SecurityContext = netRaw.DeepCopy()
		})
		w.settleUnderPolicy()
		dropped := w.deployment().Spec.Template.Spec.Containers[0].SecurityContext.Capabilities.Drop
		Expect(dropped).To(ConsistOf(corev1.Capability("NET_RAW"), corev1.Capability("ALL")))
		Expect(w.conditions()).To(ConsistOf(available))

		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.Containers[0].Args = []string{"--port=8080", "--debug"}
		})
		w.settleUnderPolicy()
		Expect(w.conditions()).To(ConsistOf("Ready=False Altered", "Stalled=True Altered"))
		Expect(w.readyMessage()).To(ContainSubstring(`spec.template.spec.containers[0].args[1] is absent instead of "--debug"`))
	})
})

var netRaw = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"NET_RAW"}}}

func withCapabilities(d *appsv1.Deployment) {
	d.Spec.Template.Spec.Containers[0].SecurityContext = netRaw.DeepCopy()
}
