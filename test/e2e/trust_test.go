//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
)

// secrets are objects that the answer to a forged review could reveal: an exhausted quota, and a Deployment with the app's name.
const secrets = `
apiVersion: v1
kind: ResourceQuota
metadata: {name: top-secret-quota}
spec: {hard: {pods: "0"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hello}
spec:
  replicas: 0
  selector: {matchLabels: {top-secret: label}}
  template:
    metadata: {labels: {top-secret: label}}
    spec: {containers: [{name: secret, image: "secret:1"}]}
`

// review returns the AdmissionReview that the API server would send for a new app in a namespace.
func review(namespace string) string {
	object := map[string]any{}
	Expect(yamlInto(hello(shortTiming), &object)).To(Succeed())
	object["metadata"] = map[string]any{"name": "hello", "namespace": namespace, "uid": "8b0e5c1a-0000-4000-8000-000000000001"}
	kind := map[string]any{"group": "apps.gracefulapp.dev", "version": "v1alpha1", "kind": "GracefulApp"}
	resource := map[string]any{"group": "apps.gracefulapp.dev", "version": "v1alpha1", "resource": "gracefulapps"}
	data, err := json.Marshal(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": map[string]any{
			"uid": "8b0e5c1a-0000-4000-8000-000000000002", "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
			"name": "hello", "namespace": namespace, "operation": "CREATE", "dryRun": true,
			"userInfo": map[string]any{"username": "system:admin", "groups": []string{"system:masters"}}, "object": object,
		},
	})
	Expect(err).NotTo(HaveOccurred())
	return string(data)
}

// postToWebhook sends a request to the webhook through the API server's proxy for Services. The webhook gets no client identity, as from a pod.
func postToWebhook(path, body string) string {
	GinkgoHelper()
	configuration, err := config.GetConfig()
	Expect(err).NotTo(HaveOccurred())
	api, err := rest.HTTPClientFor(configuration)
	Expect(err).NotTo(HaveOccurred())
	url := configuration.Host + "/api/v1/namespaces/" + system + "/services/https:gracefulapp-webhook-service:443/proxy" + path
	response, err := api.Post(url, "application/json", strings.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return string(answer)
}

var _ = Describe("A forged review", func() {
	It("reveals nothing about another namespace", func() {
		namespace := newNamespace()
		kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
		Expect(apply(namespace, secrets)).To(Succeed())
		Eventually(func() string { return field(namespace, "quota/top-secret-quota", "{.status.hard.pods}") }).Should(Equal("0"))

		By("a user who may create the app is told that Pod Security forbids its pods")
		manifest := strings.ReplaceAll(hello(shortTiming), "name: hello}", "name: hello, namespace: "+namespace+"}")
		_, err := tryKubectl(manifest, "create", "--dry-run=server", "-f", "-")
		Expect(err).To(MatchError(ContainSubstring("violates PodSecurity")), "otherwise a forged review could reveal nothing")

		By("a client that only reaches the webhook's port is not told")
		post := func(path, namespace string) string { return postToWebhook(path, review(namespace)) }
		for _, path := range []string{"/", "/validate-apps-gracefulapp-dev-v1alpha1-gracefulapp"} {
			answer := post(path, namespace)
			Expect(answer).To(ContainSubstring(`"allowed":true`))
			Expect(answer).NotTo(ContainSubstring("secret"))
			Expect(answer).To(Equal(post(path, "there-is-no-such-namespace")), "the answer depends on the objects in the namespace")
		}

		By("a client that knows the secret path of the webhook is told")
		path := kubectl("get", "validatingwebhookconfiguration", "gracefulapp-validating-webhook-configuration",
			"-o", "jsonpath={.webhooks[0].clientConfig.service.path}")
		Expect(len(path)).To(BeNumerically(">", 40))
		Expect(post(path, namespace)).To(ContainSubstring("violates PodSecurity"), "otherwise the answers above prove nothing")
	})
})
