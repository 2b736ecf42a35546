//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// shopManifests are the manifests before the adoption, which kubectl apply --prune, an ApplySet and Helm know.
var shopManifests = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, labels: {app.kubernetes.io/part-of: shop}}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: shop
        image: ` + image("hello") + `
        ports: [{name: http, containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: shop, labels: {app.kubernetes.io/part-of: shop}}
spec:
  selector: {app: shop}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: shop, labels: {app.kubernetes.io/part-of: shop}}
spec:
  selector: {matchLabels: {app: shop}}
  maxUnavailable: 1
`

// shopApp adopts the objects of shopManifests. It is paused, so no pod restarts.
var shopApp = `
apiVersion: apps.gracefulapp.dev/v1alpha1
kind: GracefulApp
metadata:
  name: shop
  labels: {app.kubernetes.io/part-of: shop}
  annotations: {apps.gracefulapp.dev/adopt: "true"}
spec:
  paused: true
  replicas: 2
  selector: {matchLabels: {app: shop}}
  timing: {startupSeconds: 5, requestSeconds: 1}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: shop
        image: ` + image("hello") + `
        ports: [{name: http, containerPort: 8080}]
`

const (
	allowDeletion = "apps.gracefulapp.dev/allow-deletion=true"
	denial        = "shop is controlled by GracefulApp shop"
)

// ownedObjects are the objects that the policy protects.
var ownedObjects = []string{"deploy/shop", "svc/shop", "pdb/shop"}

func deny() OmegaMatcher {
	return MatchError(And(ContainSubstring("gracefulapp-owned-objects"), ContainSubstring(denial)))
}

func deployShop(namespace string) {
	GinkgoHelper()
	Expect(apply(namespace, shopApp)).To(Succeed())
	awaitControlled(namespace)
}

// awaitControlled waits until the app controls its three objects.
func awaitControlled(namespace string) {
	GinkgoHelper()
	for _, object := range ownedObjects {
		Eventually(func() error {
			_, err := tryKubectl("", "wait", "-n", namespace, object, "--timeout=10s", "--for=jsonpath={.metadata.ownerReferences[0].name}=shop")
			return err
		}).Should(Succeed())
	}
}

// identities returns the UIDs of the objects and the IP of the Service. They change if an object is deleted and created again.
func identities(namespace string) string {
	GinkgoHelper()
	return kubectl("get", "-n", namespace, "deploy,rs,svc,pods", "-l", "app=shop", "-o", "jsonpath={range .items[*]}{.metadata.uid} {end}") +
		kubectl("get", "-n", namespace, "deploy/shop", "svc/shop", "pdb/shop", "-o", "jsonpath={range .items[*]}{.metadata.uid} {.spec.clusterIP} {end}")
}

// remainingObjects returns a function that lists the objects that still exist.
func remainingObjects(namespace string) func() string {
	return func() string { return kubectl("get", "-n", namespace, "deploy,rs,svc,pdb,pods", "-o", "name") }
}

// These specs need the controllers of Kubernetes. config/owned_test.go tests the policy on an API server alone.
var _ = Describe("An object that a GracefulApp controls", Ordered, func() {
	var namespace, before string
	BeforeAll(func() {
		namespace = newNamespace()
		Expect(apply(namespace, shopManifests)).To(Succeed())
		deployShop(namespace)
		Eventually(func() []string {
			return strings.Fields(kubectl("get", "-n", namespace, "pods", "-l", "app=shop", "-o", "name"))
		}).Should(HaveLen(2))
		before = identities(namespace)
	})
	unchanged := func() {
		GinkgoHelper()
		Expect(identities(namespace)).To(Equal(before))
	}
	prune := func(flags ...string) error {
		_, err := tryKubectl(shopApp, append([]string{"apply", "-n", namespace, "--prune", "-f", "-"}, flags...)...)
		return err
	}

	It("is not deleted by kubectl apply --prune, which succeeds after the objects are excluded", func() {
		Expect(prune("-l", "app.kubernetes.io/part-of=shop")).To(deny())
		unchanged()
		kubectl("annotate", "-n", namespace, "deploy/shop", "svc/shop", "pdb/shop", "kubectl.kubernetes.io/last-applied-configuration-")
		Expect(prune("-l", "app.kubernetes.io/part-of=shop")).To(Succeed())
		unchanged()
	})

	It("is not deleted by the pruning of an ApplySet, which succeeds after the objects are excluded", func() {
		GinkgoT().Setenv("KUBECTL_APPLYSET", "true")
		_, err := tryKubectl(shopManifests+"---"+shopApp, "apply", "-n", namespace, "--prune", "--applyset=shop", "-f", "-")
		Expect(err).NotTo(HaveOccurred())
		Expect(prune("--applyset=shop")).To(deny())
		unchanged()
		kubectl("label", "-n", namespace, "deploy/shop", "svc/shop", "pdb/shop", "applyset.kubernetes.io/part-of-")
		Expect(prune("--applyset=shop")).To(Succeed())
		unchanged()
	})

	It("is not deleted by kubectl delete: by name, all of a kind, by label, or in a dry run", func() {
		for _, arguments := range [][]string{
			{"deploy/shop"},
			{"svc/shop", "--cascade=background"},
			{"pdb/shop", "--cascade=foreground"},
			{"deploy", "--all"},
			{"svc,pdb", "-l", "apps.gracefulapp.dev/name=shop"},
			{"deploy/shop", "--cascade=orphan"},
			{"svc/shop", "--dry-run=server"},
		} {
			_, err := tryKubectl("", append([]string{"delete", "-n", namespace}, arguments...)...)
			Expect(err).To(deny(), "kubectl delete %v", arguments)
		}
		unchanged()
	})

	It("stays when the GracefulApp is deleted with --cascade=orphan, and can be deleted then", func() {
		kubectl("delete", "gapp", "shop", "-n", namespace, "--cascade=orphan")
		unchanged()
		kubectl("delete", "-n", namespace, "--wait=false", "deploy/shop", "svc/shop", "pdb/shop")
	})
})

var _ = Describe("An object that a GracefulApp has adopted from a Helm release", func() {
	var namespace, before string
	helm := func(arguments ...string) error {
		_, err := run("../../bin/helm", "", append(arguments, "-n", namespace)...)
		return err
	}
	BeforeEach(func() {
		namespace = newNamespace()
		Expect(helm("install", "shop", chart(shopManifests))).To(Succeed())
	})

	It("is not deleted by the upgrade to a chart without it, which succeeds with the resource policy keep", func() {
		Expect(helm("upgrade", "shop", chart(shopManifests, shopApp))).To(Succeed())
		awaitControlled(namespace)
		before = identities(namespace)
		Expect(helm("upgrade", "shop", chart(shopApp))).To(deny())
		Expect(identities(namespace)).To(Equal(before))

		kubectl("annotate", "-n", namespace, "deploy/shop", "svc/shop", "pdb/shop", "helm.sh/resource-policy=keep")
		Expect(helm("upgrade", "shop", chart(shopApp))).To(Succeed())
		Expect(identities(namespace)).To(Equal(before))
		Expect(helm("uninstall", "shop")).To(Succeed())
		Eventually(remainingObjects(namespace)).Should(BeEmpty(), "the release has only the GracefulApp, and its owned objects are deleted with it")
	})

	It("is not deleted by helm uninstall", func() {
		deployShop(namespace)
		before = identities(namespace)
		// Helm 4 skips an object with the label of another manager. Helm 3 does not, and the policy denies it as it denies kubectl above.
		Expect(helm("uninstall", "shop")).To(Succeed())
		Expect(identities(namespace)).To(Equal(before))
	})
})

// chart writes a Helm chart with the manifests and returns its directory.
func chart(manifests ...string) string {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	Expect(os.Mkdir(filepath.Join(folder, "templates"), 0o755)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(folder, "Chart.yaml"), []byte("apiVersion: v2\nname: shop\nversion: 0.1.0\n"), 0o600)).To(Succeed())
	for i, manifest := range manifests {
		Expect(os.WriteFile(filepath.Join(folder, "templates", fmt.Sprint(i, ".yaml")), []byte(manifest), 0o600)).To(Succeed())
	}
	return folder
}

var _ = Describe("The deletion of an object that a GracefulApp controls", func() {
	var namespace string
	BeforeEach(func() {
		namespace = newNamespace()
		deployShop(namespace)
	})

	It("succeeds with the annotation, and the operator creates the object again", func() {
		for i, object := range ownedObjects {
			before := field(namespace, object, "{.metadata.uid}")
			kubectl("annotate", "-n", namespace, object, allowDeletion)
			kubectl("delete", "-n", namespace, object, "--wait=false", "--cascade="+[]string{"foreground", "background", "background"}[i])
			Eventually(func() string {
				return kubectl("get", "-n", namespace, object, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")
			}).
				ShouldNot(Or(BeEmpty(), Equal(before)))
			_, err := tryKubectl("", "delete", "-n", namespace, object)
			Expect(err).To(deny(), "the new object has no annotation")
		}
	})

	for _, cascade := range []string{"background", "foreground"} {
		It("follows the deletion of the GracefulApp, with --cascade="+cascade, func() {
			kubectl("delete", "gapp", "shop", "-n", namespace, "--cascade="+cascade)
			Eventually(remainingObjects(namespace)).Should(BeEmpty())
		})
	}

	It("follows the deletion of the namespace", func() {
		kubectl("delete", "namespace", namespace, "--timeout="+settle.String())
	})
})
