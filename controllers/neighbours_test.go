package controllers

import (
	"encoding/json"
	"fmt"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/scale"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// The neighbours are other tools in a cluster that write objects of the operator. None of them is installed: each spec makes the same requests as the
// tool, with the same verb and field manager, and names the source code of the tool. docs/how-to/autoscale.md, gitops.md and policies.md have the tables.

// If a request names no field manager, the API server uses the user agent up to the slash.
const (
	hpaAgent  = "kube-controller-manager/v1.37.2 (linux/amd64) kubernetes/2f1a3c5/system:serviceaccount:kube-system:horizontal-pod-autoscaler"
	kedaAgent = "keda/v0.0.0 (linux/amd64) kubernetes/$Format"
)

// scaler reads and writes /scale with client-go's polymorphic scale client, which needs only the name of the resource.
type scaler struct {
	w      *testEnv
	scales scale.ScalesGetter
}

func (w *testEnv) scaler(agent string) scaler {
	GinkgoHelper()
	c := rest.CopyConfig(config)
	c.UserAgent = agent
	d, err := discovery.NewDiscoveryClientForConfig(c)
	Expect(err).NotTo(HaveOccurred())
	scales, err := scale.NewForConfig(c, api.RESTMapper(), dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(d))
	Expect(err).NotTo(HaveOccurred())
	return scaler{w, scales}
}

var scaledResource = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "gracefulapps"}

func (s scaler) get() *autoscalingv1.Scale {
	GinkgoHelper()
	now, err := s.scales.Scales(s.w.namespace).Get(ctx, scaledResource, s.w.key.Name, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	return now
}

// set writes the scale that it has read, with another number.
func (s scaler) set(n int32) {
	GinkgoHelper()
	now := s.get()
	now.Spec.Replicas = n
	_, err := s.scales.Scales(s.w.namespace).Update(ctx, scaledResource, now, metav1.UpdateOptions{})
	Expect(err).NotTo(HaveOccurred())
}

// to sets the replicas, reconciles the app and completes the rollout.
func (s scaler) to(n int32) {
	GinkgoHelper()
	s.set(n)
	s.w.settle()
	Expect(*s.w.deployment().Spec.Replicas).To(Equal(n))
	Expect(s.w.conditions()).To(ConsistOf(available), "scaling the app is no conflict")
}

// owners returns the owners of a field of the spec, each as "manager operation subresource".
func owners(object client.Object, path string) []string {
	GinkgoHelper()
	var all []string
	for _, e := range object.GetManagedFields() {
		var tree map[string]any
		Expect(json.Unmarshal([]byte(e.FieldsV1.GetRawString()), &tree)).To(Succeed())
		if spec, ok := tree["f:spec"].(map[string]any); ok && spec["f:"+path] != nil {
			all = append(all, fmt.Sprintf("%s %s %s", e.Manager, e.Operation, e.Subresource))
		}
	}
	return all
}

func withoutReplicas(app *v1alpha1.GracefulApp) { app.Spec.Replicas = nil }

var _ = Describe("Neighbour HPA", func() {
	// Source: kubernetes/kubernetes, pkg/controller/podautoscaler/horizontal.go. It sends GET and PUT of /scale without a field manager. It fails
	// without a selector in the scale's status, and 0 replicas disable it.
	It("finds the app's pods by the scale's selector, and its number reaches the Deployment", func() {
		w := newTestEnv()
		w.create(withoutReplicas)
		w.settle()
		hpa := w.scaler(hpaAgent)
		now := hpa.get()
		Expect(now.Spec.Replicas).To(BeEquivalentTo(1))
		Expect(now.Status.Replicas).To(BeEquivalentTo(1))
		selector, err := labels.Parse(now.Status.Selector)
		Expect(err).NotTo(HaveOccurred())
		Expect(selector.Matches(labels.Set(w.deployment().Spec.Template.Labels))).To(BeTrue())
		Expect(selector.Matches(labels.Set{})).To(BeFalse(), "the selector must not match all pods")

		hpa.to(5)
		Expect(owners(w.app(), "replicas")).To(ConsistOf("kube-controller-manager Update scale"))
		w.budget()
		w.events.take()
		hpa.to(1)
		w.absent(&policyv1.PodDisruptionBudget{})
		Expect(w.events.take()).NotTo(ContainElement(HavePrefix("Warning")))
	})

	DescribeTable("keeps its number when a manifest without replicas is applied again",
		func(flags ...string) {
			w := newTestEnv()
			manifest, apply := w.manifest(), w.kubectlApply(flags...)
			apply(manifest)
			w.settle()
			Expect(*w.app().Spec.Replicas).To(BeEquivalentTo(1))
			w.scaler(hpaAgent).to(5)
			setImage(manifest, "hello:0.2.0")
			apply(manifest)
			w.settle()
			Expect(w.deployment().Spec.Template.Spec.Containers[0].Image).To(Equal("hello:0.2.0"))
			Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(5))
			// If the field had no owner, a write of /scale adds none (apimachinery, managedfields/scalehandler.go). The number is kept nevertheless.
			Expect(owners(w.app(), "replicas")).NotTo(ContainElement(HavePrefix("kubectl")))
		},
		Entry("client-side"), Entry("server-side", "--server-side"),
	)

	// A Deployment behaves in the same way: a client-side apply removes a field that leaves the manifest, and the API server sets the default.
	DescribeTable("and replicas that leave the manifest",
		func(then int, remedy string, flags ...string) {
			w := newTestEnv()
			manifest, kubectl := w.manifest(), w.kubectl()
			apply := append([]string{"apply", "-f", "-"}, flags...)
			setTwoReplicas(manifest)
			kubectl(manifest, apply...)
			w.settle()
			hpa := w.scaler(hpaAgent)
			hpa.to(5)
			unsetReplicas(manifest)
			if remedy != "" {
				kubectl(manifest, "apply", remedy, "-f", "-")
			}
			kubectl(manifest, apply...)
			Expect(*w.app().Spec.Replicas).To(BeEquivalentTo(then))
			hpa.to(5)
			kubectl(manifest, apply...)
			Expect(*w.app().Spec.Replicas).To(BeEquivalentTo(5), "the number must change only once")
		},
		Entry("lose its number for a moment, client-side", 1, ""),
		Entry("keep it when they leave the annotation first", 5, "set-last-applied"),
		Entry("keep it server-side", 5, "", "--server-side"),
	)
})

var _ = Describe("Neighbour KEDA", func() {
	// Source: kedacore/keda, pkg/scaling/executor/scale_scaledobjects.go (0 to 1, back to 0, and autoscaling.keda.sh/paused-replicas: PUT of
	// /scale without a field manager), controllers/keda/hpa.go (the HPA) and pkg/scaling/resolver/scale_resolvers.go (it reads the pod
	// template of the scaled object at spec.template).
	It("scales the app from zero, leaves it to the HPA, and scales it to zero", func() {
		w := newTestEnv()
		app := w.create(testapp.Replicas(0))
		w.settle()
		Expect(w.conditions()).To(ConsistOf(available), "0 of 0")
		w.absent(&policyv1.PodDisruptionBudget{})
		keda, hpa := w.scaler(kedaAgent), w.scaler(hpaAgent)
		Expect(keda.get().Spec.Replicas).To(BeZero())

		Expect(api.Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: "keda-hpa-hello", Namespace: w.namespace},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "GracefulApp", Name: "hello"},
				MinReplicas:    new(int32(1)), MaxReplicas: 10,
			},
		})).To(Succeed())
		keda.to(1)
		Expect(owners(w.app(), "replicas")).To(ConsistOf("keda Update scale"))
		hpa.to(4)
		w.budget()
		keda.to(0)
		w.absent(&policyv1.PodDisruptionBudget{})
		keda.to(3) // paused-replicas

		duck := struct {
			Spec struct{ Template corev1.PodTemplateSpec }
		}{}
		Expect(plan.Convert(w.app(), &duck)).To(Succeed())
		Expect(duck.Spec.Template.Spec.Containers).To(Equal(app.Spec.Template.Spec.Containers))
	})
})

var _ = Describe("Neighbour Reloader", func() {
	// Source: stakater/Reloader, internal/pkg/handler/upgrade.go (the changes, and that the annotations of the pod template count if the
	// Deployment has none), internal/pkg/callbacks/rolling_upgrade.go (the verbs, the manager and the patches) and
	// internal/pkg/handler/pause_deployment.go.
	const (
		manager  = client.FieldOwner("Reloader")
		variable = "STAKATER_SETTINGS_CONFIGMAP"
		mark     = "reloader.stakater.com/last-reloaded-from"
	)
	patch := func(w *testEnv, kind types.PatchType, data string) {
		GinkgoHelper()
		Expect(api.Patch(ctx, w.deployment(), client.RawPatch(kind, []byte(data)), manager)).To(Succeed())
	}
	envPatch := func(w *testEnv, hash string) {
		patch(w, types.StrategicMergePatchType, `{"spec":{"template":{"spec":{"containers":[{"name":"hello","env":[{"name":"`+variable+
			`","value":"`+hash+`"}]}]}}}}`)
	}
	envUpdate := func(w *testEnv, hash string) { // as before version 1.4
		d := w.deployment()
		env := &d.Spec.Template.Spec.Containers[0].Env
		*env = slices.DeleteFunc(*env, func(e corev1.EnvVar) bool { return e.Name == variable })
		*env = append(*env, corev1.EnvVar{Name: variable, Value: hash})
		Expect(api.Update(ctx, d, manager)).To(Succeed())
	}
	annotationPatch := func(w *testEnv, hash string) {
		patch(w, types.StrategicMergePatchType, `{"spec":{"template":{"metadata":{"annotations":{"`+mark+
			`":"{\"type\":\"CONFIGMAP\",\"name\":\"settings\",\"hash\":\"`+hash+`\"}"}}}}}`)
	}
	marks := func(d *appsv1.Deployment) string {
		text := d.Spec.Template.Annotations[mark]
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			if e.Name == variable {
				text += e.Value
			}
		}
		return text
	}
	watched := func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Annotations = map[string]string{"reloader.stakater.com/auto": "true"}
		app.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "MODE", Value: "web"}}
		app.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{
			ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}},
		}}
	}

	DescribeTable("restarts the pods once for each change, and its variable or annotation stays",
		func(write func(*testEnv, string)) {
			w := newTestEnv()
			w.create(watched)
			w.settle()
			Expect(w.deployment().Spec.Template.Annotations).To(HaveKeyWithValue("reloader.stakater.com/auto", "true"))
			for _, hash := range []string{"5f1c", "77ab"} {
				before := w.deployment().Spec.Template
				write(w, hash)
				written := w.deployment()
				Expect(written.Spec.Template).NotTo(Equal(before))
				w.settle()
				Expect(w.deployment().Generation).To(Equal(written.Generation), "the operator must not write after Reloader")
				w.scaler(hpaAgent).to(int32(len(hash)) + written.Status.Replicas)
				Expect(w.deployment().Spec.Template).To(Equal(written.Spec.Template), "scaling must not start a rollout")
			}
			w.change(func(app *v1alpha1.GracefulApp) {
				app.Spec.Template.Spec.Containers[0].Image = "hello:0.2.0"
				app.Spec.Template.Spec.Containers[0].Env = nil
				app.Spec.Timing.RequestSeconds = 30
			})
			w.settle()
			Expect(marks(w.deployment())).To(ContainSubstring("77ab"))
			Expect(w.deployment().Spec.Template.Spec.Containers[0].Env).NotTo(ContainElement(HaveField("Name", "MODE")))
			Expect(w.conditions()).To(ConsistOf(available))
		},
		Entry("env-vars, by patch", envPatch), Entry("env-vars, by update", envUpdate), Entry("annotations", annotationPatch),
	)

	It("removes its variable when the ConfigMap is deleted", func() {
		w := newTestEnv()
		w.create(watched)
		w.settle()
		before := w.deployment().Spec.Template
		envPatch(w, "5f1c")
		env := w.deployment().Spec.Template.Spec.Containers[0].Env
		i := slices.IndexFunc(env, func(e corev1.EnvVar) bool { return e.Name == variable })
		patch(w, types.JSONPatchType, fmt.Sprintf(`[{"op":"remove","path":"/spec/template/spec/containers/0/env/%d"}]`, i))
		w.settle()
		Expect(w.deployment().Spec.Template).To(Equal(before))
	})

	It("pauses the Deployment for its pause period, and the message says how to resume it", func() {
		w := newTestEnv()
		w.create(watched)
		w.settle()
		patch(w, types.StrategicMergePatchType,
			`{"spec":{"paused":true},"metadata":{"annotations":{"deployment.reloader.stakater.com/paused-at":"2030-01-01T00:00:00Z"}}}`)
		envPatch(w, "5f1c")
		d := w.deployment()
		d.Status.ObservedGeneration, d.Status.UpdatedReplicas = d.Generation, 0
		Expect(api.Status().Update(ctx, d)).To(Succeed())
		Expect(w.reconcile()).To(Equal([]string{"Patch status GracefulApp"}))
		Expect(w.conditions()).To(ConsistOf("Ready=False Paused", "Reconciling=True Paused"))
		Expect(w.readyMessage()).To(ContainSubstring("another client paused the Deployment"))
		patch(w, types.StrategicMergePatchType,
			`{"spec":{"paused":false},"metadata":{"annotations":{"deployment.reloader.stakater.com/paused-at":null}}}`)
		w.settle()
		Expect(w.conditions()).To(ConsistOf(available))
		Expect(marks(w.deployment())).To(Equal("5f1c"))
	})
})
