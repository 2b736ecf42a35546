//go:build e2e

package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const (
	system  = "gracefulapp-system"
	manager = "gracefulapp-controller-manager"
)

// The container is Serial because it scales the operator to zero.
var _ = Describe("t3 = t1 + t2", Ordered, Serial, func() {
	var namespace string
	BeforeAll(func() {
		namespace = newNamespace()
		Expect(apply(namespace, hello(shortTiming))).To(Succeed())
		waitReady(namespace)
	})
	expectRejected := func() {
		GinkgoHelper()
		Expect(apply(namespace, hello(equalTiming))).To(MatchError(ContainSubstring(arithmetic)), "apply to an existing app")
		_, err := tryKubectl("", "patch", "gapp", "hello", "-n", namespace, "--type", "merge", "-p", equalPatch)
		Expect(err).To(MatchError(ContainSubstring(arithmetic)), "patch")
		_, err = tryKubectl(hello(equalTiming), "create", "-n", newNamespace(), "-f", "-")
		Expect(err).To(MatchError(ContainSubstring(arithmetic)), "create")
	}

	It("is rejected with the arithmetic", expectRejected)

	It("is rejected with the same message while the operator does not run, and the app can be scaled", func() {
		before := field(system, "deploy/"+manager, "{.spec.replicas}")
		DeferCleanup(func() {
			kubectl("scale", "deploy", manager, "-n", system, "--replicas", before)
			kubectl("rollout", "status", "deploy", manager, "-n", system, "--timeout="+settle.String())
		})
		kubectl("scale", "deploy", manager, "-n", system, "--replicas", "0")
		Eventually(func() string {
			return kubectl("get", "pods", "-n", system, "-o", "name", "-l", "control-plane=controller-manager")
		}).Should(BeEmpty())
		expectRejected()
		kubectl("patch", "gapp", "hello", "-n", namespace, "--type", "merge", "-p", `{"spec":{"replicas":3}}`)
		kubectl("scale", "gapp", "hello", "-n", namespace, "--replicas", "1")
	})

	It("is scaled when the operator runs again, and a t3 of one more second is accepted", func() {
		Eventually(func() string { return field(namespace, "deploy/hello", "{.spec.replicas}") }).Should(Equal("1"))
		waitReady(namespace)
		Eventually(func() error { return apply(namespace, hello(justEnough)) }).Should(Succeed())
		Eventually(func() string {
			return field(namespace, "deploy/hello", "{.spec.template.spec.terminationGracePeriodSeconds}")
		}).Should(Equal("26"))
	})
})

var _ = Describe("The operator's own Deployment", func() {
	It("obeys t3 > t1 + t2", func() {
		path := "{.spec.template.spec.terminationGracePeriodSeconds} {.spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds}"
		Expect(field(system, "deploy/"+manager, path)).To(Equal("20 5"))
		Expect(field(system, "deploy/"+manager, "{.spec.template.spec.containers[0].args}")).
			To(ContainSubstring("--graceful-shutdown-timeout=10s"))
	})
})
