//go:build e2e

// kubebuilder create webhook needs a file of this name. It has no scaffold markers, because the code inserted at them expects cert-manager.

package e2e

import (
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("An app", Ordered, func() {
	var namespace, stuck string
	BeforeAll(func() {
		namespace, stuck = newNamespace(), newNamespace()
		Expect(apply(namespace, hello(shortTiming))).To(Succeed())
		// No process listens on the registry's port. The status shows that after a minute, while the other specs run.
		Expect(apply(stuck, strings.ReplaceAll(hello(shortTiming), image("hello"), "127.0.0.1:1/nope:1"))).To(Succeed())
	})
	replicas := func() string { return field(namespace, "deploy/hello", "{.spec.replicas}/{.status.availableReplicas}") }

	It("becomes Ready, and kubectl get shows the numbers", func() {
		waitReady(namespace)
		lines := strings.Split(kubectl("get", "gapp", "-n", namespace), "\n")
		Expect(strings.Fields(lines[0])).To(Equal([]string{
			"NAME", "DESIRED", "READY", "UP-TO-DATE", "AVAILABLE", "DRAINING", "STATUS", "AGE",
		}))
		row := []string{"hello", "2", "2", "2", "2", "0", "Available"}
		if field(namespace, "deploy/hello", "{.status.terminatingReplicas}") == "" { // before Kubernetes 1.35
			row = slices.Delete(row, 5, 6)
		}
		Expect(strings.Fields(lines[1])[:len(row)]).To(Equal(row))
		Expect(kubectl("get", "all", "-n", namespace)).To(ContainSubstring("gracefulapp.apps.gracefulapp.dev/hello"))
	})

	// It runs before the specs that use up the operator's limit of writes for one app, after which each revert takes 30 s.
	It("combines the events of repeated reverts into a series", func() {
		revert := func() {
			kubectl("label", "pdb", "hello", "-n", namespace, "app.kubernetes.io/managed-by=another-client", "--overwrite")
			Eventually(func() string {
				return field(namespace, "pdb/hello", `{.metadata.labels.app\.kubernetes\.io/managed-by}`)
			}).Should(Equal("gracefulapp"))
		}
		count := func() string {
			return kubectl("get", "events.events.k8s.io", "-n", namespace, "-o", `jsonpath={.items[?(@.reason=="Updated")].series.count}`)
		}
		Expect(count()).To(BeEmpty())
		// Events are equal only if the app has the same resource version, so another status must not have been written in between.
		Eventually(func() string {
			revert()
			return count()
		}).Should(ContainSubstring("2"))
		waitReady(namespace)
	})

	It("answers through its Service by name, and writes a log", func() {
		Expect(kubectl("exec", "-n", namespace, "deploy/hello", "--", "/hello", "get", "http://hello."+namespace+"/status")).
			To(ContainSubstring(`"state"`))
		Expect(kubectl("logs", "-n", namespace, "deploy/hello")).To(ContainSubstring(`"pid":1`))
	})

	It("is scaled by patch, by scale, and by an autoscaler", func() {
		kubectl("patch", "gapp", "hello", "-n", namespace, "--type", "merge", "-p", `{"spec":{"replicas":3}}`)
		Eventually(replicas).Should(Equal("3/3"))
		waitReady(namespace)
		kubectl("scale", "gapp", "hello", "-n", namespace, "--replicas", "1")
		Eventually(replicas).Should(Equal("1/1"))
		waitReady(namespace)

		Expect(apply(namespace, autoscaler)).To(Succeed())
		kubectl("patch", "hpa", "hello", "-n", namespace, "--type", "merge", "-p", `{"spec":{"minReplicas":2}}`)
		Eventually(replicas).Should(Equal("2/2"))
		Expect(field(namespace, "gapp/hello", "{.spec.replicas}")).To(Equal("2"), "the autoscaler writes to the scale subresource")
		kubectl("delete", "hpa", "hello", "-n", namespace)
		waitReady(namespace)
	})

	It("keeps a rollout restart and reverts an edit of the Deployment", func() {
		before := field(namespace, "deploy/hello", "{.metadata.annotations.deployment\\.kubernetes\\.io/revision}")
		kubectl("rollout", "restart", "deploy/hello", "-n", namespace)
		kubectl("rollout", "status", "deploy/hello", "-n", namespace, "--timeout="+settle.String())
		Expect(field(namespace, "deploy/hello", "{.metadata.annotations.deployment\\.kubernetes\\.io/revision}")).NotTo(Equal(before))

		kubectl("patch", "deploy", "hello", "-n", namespace, "--type", "merge", "-p",
			`{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1}}}}`)
		Eventually(func() string {
			return field(namespace, "deploy/hello", "{.spec.template.spec.terminationGracePeriodSeconds}")
		}).Should(Equal("16"))
		waitReady(namespace)
	})

	It("shows which pod does not start and why", func() {
		pod := kubectl("get", "pods", "-n", stuck, "-o", "jsonpath={.items[0].metadata.name}")
		other := kubectl("get", "pods", "-n", stuck, "-o", "jsonpath={.items[1].metadata.name}")
		const why = ": container hello: ImagePullBackOff: ErrImagePull: "
		Eventually(func() string { return kubectl("get", "gapp", "hello", "-n", stuck, "-o", "wide") }).
			Should(And(Or(ContainSubstring(pod+why), ContainSubstring(other+why)), ContainSubstring("; 1 more not ready")))
	})

	It("is deleted with its owned objects", func() {
		kubectl("delete", "gapp", "hello", "-n", namespace)
		Eventually(func() string {
			return kubectl("get", "deploy,rs,svc,pdb,pods", "-n", namespace, "-o", "name", "-l", "apps.gracefulapp.dev/name=hello")
		}).Should(BeEmpty())
	})
})
