package controllers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// manifest returns the manifest in the Git repository: a GracefulApp without replicas.
func (w *testEnv) manifest() *unstructured.Unstructured {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal([]byte(`
apiVersion: apps.gracefulapp.dev/v1alpha1
kind: GracefulApp
metadata: {name: hello, namespace: `+w.namespace+`}
spec:
  timing: {startupSeconds: 25, requestSeconds: 5}
  template:
    spec:
      containers:
      - name: hello
        image: hello:0.1.0
        ports: [{name: http, containerPort: 8080}]
        resources: {requests: {cpu: 100m, memory: 1024Mi}}
        readinessProbe: {httpGet: {path: /readyz, port: http}}
`), &object.Object)).To(Succeed())
	return object
}

func setImage(manifest *unstructured.Unstructured, image string) {
	GinkgoHelper()
	containers, _, err := unstructured.NestedSlice(manifest.Object, "spec", "template", "spec", "containers")
	Expect(err).NotTo(HaveOccurred())
	containers[0].(map[string]any)["image"] = image
	Expect(unstructured.SetNestedSlice(manifest.Object, containers, "spec", "template", "spec", "containers")).To(Succeed())
}

func setTwoReplicas(manifest *unstructured.Unstructured) {
	GinkgoHelper()
	Expect(unstructured.SetNestedField(manifest.Object, int64(2), "spec", "replicas")).To(Succeed())
}

func unsetReplicas(manifest *unstructured.Unstructured) {
	unstructured.RemoveNestedField(manifest.Object, "spec", "replicas")
}

// kubectl runs the real kubectl.
func (w *testEnv) kubectl() func(input *unstructured.Unstructured, args ...string) string {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	Expect(clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"it": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"it": {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{"it": {Cluster: "it", AuthInfo: "it", Namespace: w.namespace}},
		CurrentContext: "it",
	}, kubeconfig)).To(Succeed())
	return func(input *unstructured.Unstructured, args ...string) string {
		GinkgoHelper()
		args = append(args, "--kubeconfig", kubeconfig, "--cache-dir", dir)
		command := exec.CommandContext(ctx, filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), args...)
		if input != nil {
			data, err := input.MarshalJSON()
			Expect(err).NotTo(HaveOccurred())
			command.Stdin = bytes.NewReader(data)
		}
		out, err := command.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "kubectl %v: %s", args, out)
		return string(out)
	}
}

// kubectlApply runs kubectl apply. It also stands for Argo CD, which runs the same code.
func (w *testEnv) kubectlApply(flags ...string) func(*unstructured.Unstructured) string {
	GinkgoHelper()
	kubectl := w.kubectl()
	return func(manifest *unstructured.Unstructured) string {
		GinkgoHelper()
		return kubectl(manifest, append([]string{"apply", "-f", "-"}, flags...)...)
	}
}

// ownedObjectsText returns all owned objects as text, so that a test can search it for strings that must not occur.
func (w *testEnv) ownedObjectsText() string {
	GinkgoHelper()
	text := ""
	for _, d := range derivedFields {
		data, err := json.Marshal(w.stored(d).Object)
		Expect(err).NotTo(HaveOccurred())
		text += string(data)
	}
	return text
}

var _ = Describe("Neighbour Argo CD", func() {
	// Read from argoproj/gitops-engine, pkg/utils/kube/resource_ops.go (it runs kubectl's own apply, forced where server-side) and
	// pkg/sync/sync_context.go, and from argoproj/argo-cd, common/common.go (the manager of both ways) and
	// util/argo/resource_tracking.go (the annotation, and the label of the older method).
	DescribeTable("tracks and heals only the GracefulApp, and the autoscaler keeps working",
		func(flags ...string) {
			w := newTestEnv()
			manifest, apply := w.manifest(), w.kubectlApply(append(flags, "--field-manager=argocd-controller")...)
			manifest.SetAnnotations(map[string]string{
				"argocd.argoproj.io/tracking-id": fmt.Sprintf("shop:apps.gracefulapp.dev/GracefulApp:%s/hello", w.namespace),
			})
			manifest.SetLabels(map[string]string{"app.kubernetes.io/instance": "shop"})
			apply(manifest)
			w.settle()
			w.scaler(hpaAgent).to(5)
			Expect(w.ownedObjectsText()).NotTo(Or(ContainSubstring("argo"), ContainSubstring("app.kubernetes.io/instance"), ContainSubstring("last-applied")),
				"Argo CD would prune the object, because it is not in Git")

			By("healing when nothing differs")
			before := w.app()
			apply(manifest)
			Expect(w.app().ResourceVersion).To(Equal(before.ResourceVersion), "the operator has changed a field that Git sets")
			Expect(w.reconcile()).To(BeEmpty())

			By("healing an edit by another client")
			w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Timing.RequestSeconds = 50 })
			w.settle()
			apply(manifest)
			w.settle()
			after := w.app()
			Expect(after.Spec).To(Equal(before.Spec))
			Expect(after.Status.Conditions).To(HaveLen(len(before.Status.Conditions)))
			Expect(*w.deployment().Spec.Template.Spec.TerminationGracePeriodSeconds).To(BeEquivalentTo(20))
			Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(5))
			Expect(w.conditions()).To(ConsistOf(available))
		},
		Entry("client-side"), Entry("server-side", "--server-side", "--force-conflicts"),
	)
})

var _ = Describe("Neighbour Flux", func() {
	labels := map[string]string{"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}

	It("takes over the fields that kubectl wrote, except the scale, and finds no drift", func() {
		w := newTestEnv()
		manifest, kubectl := w.manifest(), w.kubectl()
		kubectl(manifest, "apply", "-f", "-")
		w.settle()
		w.scaler(hpaAgent).to(5)
		kubectl(nil, "patch", "gapp", "hello", "--type=merge", "-p", `{"spec":{"revisionHistoryLimit":3}}`)
		manifest.SetLabels(labels)
		Expect(w.fluxApplies(manifest)).To(BeTrue())
		w.settle()
		app := w.app()
		Expect(app.Annotations).To(BeEmpty())
		Expect(app.Labels).To(Equal(labels))
		Expect(app.Spec.RevisionHistoryLimit).To(BeNil(), "Flux reverts the change by kubectl")
		Expect(owners(app, "timing")).To(ConsistOf("kustomize-controller Apply "))
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(5))
		Expect(w.ownedObjectsText()).NotTo(ContainSubstring("fluxcd"), "Flux would prune the owned object")

		Expect(w.fluxApplies(manifest)).To(BeFalse(), "the operator has changed a field that Git sets")
		Expect(w.reconcile()).To(BeEmpty())

		By("kubectl scale")
		kubectl(nil, "scale", "gapp", "hello", "--replicas=3")
		Expect(w.fluxApplies(manifest)).To(BeFalse())
		w.settle()
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(3))
	})

	It("corrects drift, and the autoscaler keeps working", func() {
		w := newTestEnv()
		manifest := w.manifest()
		manifest.SetLabels(labels)
		w.fluxApplies(manifest)
		w.settle()
		w.scaler(hpaAgent).to(5)
		w.change(func(app *v1alpha1.GracefulApp) { app.Spec.Timing.RequestSeconds = 50 })
		w.settle()
		Expect(w.fluxApplies(manifest)).To(BeTrue())
		w.settle()
		Expect(*w.deployment().Spec.Template.Spec.TerminationGracePeriodSeconds).To(BeEquivalentTo(20))
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(5))
		Expect(w.conditions()).To(ConsistOf(available))
	})

	// A Deployment behaves in the same way: kubectl patch cannot scale an object that Flux applies.
	It("reverts replicas that kubectl patch wrote, and the API server sets the default", func() {
		w := newTestEnv()
		manifest := w.manifest()
		w.fluxApplies(manifest)
		w.kubectl()(nil, "patch", "gapp", "hello", "--type=merge", "-p", `{"spec":{"replicas":4}}`)
		w.fluxApplies(manifest)
		Expect(*w.app().Spec.Replicas).To(BeEquivalentTo(1))
	})
})

const fluxManager = "kustomize-controller"

// fluxApplies makes the requests that Flux makes at each interval, and reports whether it found drift. Source: fluxcd/pkg, ssa/manager_apply.go,
// ssa/manager_diff.go and ssa/patch.go; fluxcd/kustomize-controller, internal/controller/kustomization_controller.go. Flux finds drift by a forced
// dry run. It takes over the fields of every manager with the prefix kubectl, except those of subresources.
func (w *testEnv) fluxApplies(manifest *unstructured.Unstructured) bool {
	GinkgoHelper()
	send := func(more ...client.ApplyOption) *unstructured.Unstructured {
		GinkgoHelper()
		answer := manifest.DeepCopy()
		Expect(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(answer), append(more, client.ForceOwnership, client.FieldOwner(fluxManager))...)).
			To(Succeed())
		return answer
	}
	wanted := send(client.DryRunAll)
	existing := &unstructured.Unstructured{}
	existing.SetGroupVersionKind(manifest.GroupVersionKind())
	if err := api.Get(ctx, w.key, existing); err != nil {
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		send()
		return true
	}
	cleaned := w.fluxCleans(existing)
	if !cleaned && apiequality.Semantic.DeepEqual(withoutServersOwn(existing), withoutServersOwn(wanted)) {
		return false
	}
	send()
	return true
}

func (w *testEnv) fluxCleans(existing *unstructured.Unstructured) bool {
	GinkgoHelper()
	managers := sets.New[string]()
	for _, e := range existing.GetManagedFields() {
		if strings.HasPrefix(e.Manager, "kubectl") && e.Subresource == "" {
			managers.Insert(e.Manager)
		}
	}
	if len(managers) == 0 {
		return false
	}
	cleaned := existing.DeepCopy()
	Expect(csaupgrade.UpgradeManagedFields(cleaned, managers, fluxManager)).To(Succeed())
	patch := []map[string]any{{"op": "replace", "path": "/metadata/managedFields", "value": cleaned.GetManagedFields()}}
	if existing.GetAnnotations()[corev1.LastAppliedConfigAnnotation] != "" {
		patch = append(patch, map[string]any{"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"})
	}
	data, err := json.Marshal(patch)
	Expect(err).NotTo(HaveOccurred())
	Expect(api.Patch(ctx, cleaned, client.RawPatch(types.JSONPatchType, data), client.FieldOwner(fluxManager))).To(Succeed())
	return true
}

// withoutServersOwn returns the parts of an object that Flux compares.
func withoutServersOwn(object *unstructured.Unstructured) map[string]any {
	return map[string]any{"labels": object.GetLabels(), "annotations": object.GetAnnotations(), "spec": object.Object["spec"]}
}

var _ = Describe("Neighbour Helm", func() {
	// Source: helm/helm, pkg/kube/client.go; fluxcd/helm-controller, internal/action/diff.go. Helm 3 sends a merge patch of the difference between
	// the last and the new manifest, Helm 4 uses server-side apply. Both mark their objects by a label and annotations.
	helm3 := func(w *testEnv, old, manifest *unstructured.Unstructured) {
		GinkgoHelper()
		if old == nil {
			Expect(api.Create(ctx, manifest.DeepCopy(), client.FieldOwner("helm"))).To(Succeed())
			return
		}
		data, err := client.MergeFrom(old).Data(manifest)
		Expect(err).NotTo(HaveOccurred())
		Expect(api.Patch(ctx, w.app(), client.RawPatch(types.MergePatchType, data), client.FieldOwner("helm"))).To(Succeed())
	}
	helm4 := func(_ *testEnv, _, manifest *unstructured.Unstructured) {
		GinkgoHelper()
		Expect(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(manifest.DeepCopy()), client.FieldOwner("helm"))).To(Succeed())
	}

	DescribeTable("upgrades the GracefulApp, marks no owned object as its own, and the autoscaler keeps working",
		func(upgrade func(w *testEnv, old, manifest *unstructured.Unstructured), then int) {
			w := newTestEnv()
			manifest := w.manifest()
			setTwoReplicas(manifest)
			manifest.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "shop-1.0.0"})
			manifest.SetAnnotations(map[string]string{"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": w.namespace})
			upgrade(w, nil, manifest)
			w.settle()
			w.scaler(hpaAgent).to(5)
			old := manifest.DeepCopy()
			unsetReplicas(manifest)
			upgrade(w, old, manifest)
			Expect(*w.app().Spec.Replicas).To(BeEquivalentTo(then), "once, when they leave the chart")
			w.scaler(hpaAgent).to(5)
			old = manifest.DeepCopy()
			setImage(manifest, "hello:0.2.0")
			upgrade(w, old, manifest)
			w.settle()
			Expect(w.deployment().Spec.Template.Spec.Containers[0].Image).To(Equal("hello:0.2.0"))
			Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(5))
			Expect(w.deployment().Labels).To(HaveKeyWithValue("app.kubernetes.io/managed-by", "gracefulapp"))
			Expect(w.ownedObjectsText()).NotTo(ContainSubstring("helm"))
		},
		Entry("Helm 3", helm3, 1), Entry("Helm 4", helm4, 5),
	)
})
