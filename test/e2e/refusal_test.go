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

// Serial and last in its container: it takes the operator away for a while.
var _ = Describe("t3 = t1 + t2", Ordered, Serial, func() {
	var namespace string
	BeforeAll(func() {
		namespace = newNamespace()
		Expect(apply(namespace, hello(shortTiming))).To(Succeed())
		waitReady(namespace)
	})
	refused := func() {
		GinkgoHelper()
		Expect(apply(namespace, hello(equalTiming))).To(MatchError(ContainSubstring(arithmetic)), "apply over an app that exists")
		_, err := try("", "patch", "gapp", "hello", "-n", namespace, "--type", "merge", "-p", equalPatch)
		Expect(err).To(MatchError(ContainSubstring(arithmetic)), "patch")
		_, err = try(hello(equalTiming), "create", "-n", newNamespace(), "-f", "-")
		Expect(err).To(MatchError(ContainSubstring(arithmetic)), "create")
	}

	It("is refused with the arithmetic", refused)

	It("is refused in the same words while the operator is away, and scaling goes on", func() {
		before := field(system, "deploy/"+manager, "{.spec.replicas}")
		DeferCleanup(func() {
			kubectl("scale", "deploy", manager, "-n", system, "--replicas", before)
			kubectl("rollout", "status", "deploy", manager, "-n", system, "--timeout="+settle.String())
		})
		kubectl("scale", "deploy", manager, "-n", system, "--replicas", "0")
		Eventually(func() string {
			return kubectl("get", "pods", "-n", system, "-o", "name", "-l", "control-plane=controller-manager")
		}).Should(BeEmpty())
		refused()
		kubectl("patch", "gapp", "hello", "-n", namespace, "--type", "merge", "-p", `{"spec":{"replicas":3}}`)
		kubectl("scale", "gapp", "hello", "-n", namespace, "--replicas", "1")
	})

	It("has been made good when the operator is back, and one second more is accepted", func() {
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
