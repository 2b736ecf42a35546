//go:build e2e

package e2e

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// unchanged is a server that exits at SIGTERM at once, with a drain sidecar. The first ports of the sidecar are 18080, of requests, 18081, of the kubelet, and 18090, of
// the metrics. neighbour is a client in the pod.
const unchanged = `apiVersion: apps.gracefulapp.dev/v1alpha1
kind: GracefulApp
metadata: {name: hello}
spec:
  replicas: 1
  drain: {mode: Sidecar}
  timing: {startupSeconds: 5, requestSeconds: 7}
  template:
    spec:
      containers:
      - name: server
        image: %s
        env: [{name: STARTUP_SEC, value: "0"}, {name: AT_SIGTERM, value: exit}]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /readyz, port: http}}
        livenessProbe: {httpGet: {path: /livez, port: http}}
        resources: {requests: {cpu: 20m}}
      - name: neighbour
        image: %s
        env: [{name: STARTUP_SEC, value: "0"}, {name: PORT, value: "8090"}]
        resources: {requests: {cpu: 10m}}
`

var _ = Describe("The drain sidecar of a server that exits at SIGTERM", Ordered, func() {
	var namespace, pod, address string
	findPod := func() {
		waitReady(namespace)
		pods := "-l=apps.gracefulapp.dev/drain-sidecar=hello"
		pod = kubectl("get", "pods", "-n", namespace, pods, "-o=jsonpath={.items[0].metadata.name}")
		address = kubectl("get", "pods", "-n", namespace, pods, "-o=jsonpath={.items[0].status.podIP}")
	}
	get := func(url string) (string, error) {
		return tryKubectl("", "exec", "-n", namespace, "client", "--", "/hello", "get", url)
	}
	url := func(port int, path string) string { return fmt.Sprintf("http://%s:%d%s", address, port, path) }
	BeforeAll(func() {
		namespace = newNamespace()
		kubectl("run", "client", "-n", namespace, "--image="+image("hello"), "--image-pull-policy=IfNotPresent", "--env=STARTUP_SEC=0")
		Expect(apply(namespace, fmt.Sprintf(unchanged, image("gracefulapp-workload"), image("hello")))).To(Succeed())
		findPod()
		kubectl("wait", "-n", namespace, "pod/client", "--for=condition=Ready", "--timeout="+settle.String())
	})

	It("is the endpoint of the Service", func() {
		Expect(kubectl("get", "endpointslices", "-n", namespace, "-o=jsonpath={.items[*].ports[*].port}")).To(Equal("18080"))
		Expect(get("http://hello/?seconds=0")).To(HavePrefix("hello"))
	})

	It("does not make its clients local to the server", func() {
		for _, url := range []string{"http://hello/loopback", url(8080, "/loopback")} { // with the sidecar, and past it
			_, err := get(url)
			Expect(err).To(MatchError(ContainSubstring("403")), url)
		}
		Expect(kubectl("exec", "-n", namespace, pod, "-c", "neighbour", "--", "/hello", "get", "http://127.0.0.1:8080/loopback")).To(ContainSubstring("loopback"))
	})

	It("lets only the kubelet call its hooks", func() {
		for _, path := range []string{"/drain", "/leaving", "/ready", "/metrics"} {
			_, err := get(url(18081, path))
			Expect(err).To(MatchError(ContainSubstring("403")), path)
		}
		Expect(get(url(18090, "/metrics"))).To(ContainSubstring("drain_proxy_requests_total 2"), "only the requests of the specs before")
		Expect(get("http://hello/?seconds=0")).To(HavePrefix("hello"))
	})

	// deleteDuring sends a request of this many seconds, deletes the pod while it is in flight, and returns the answer.
	type answer struct {
		text string
		err  error
	}
	deleteDuring := func(seconds int) (got answer) {
		GinkgoHelper()
		answered := make(chan answer, 1)
		go func() {
			text, err := get(url(18080, fmt.Sprintf("/?seconds=%d", seconds)))
			answered <- answer{text, err}
		}()
		Eventually(func() (string, error) { return get(url(18090, "/metrics")) }).Should(ContainSubstring("drain_proxy_in_flight 1"))
		kubectl("delete", "pod", pod, "-n", namespace, "--wait=false")
		Eventually(answered, time.Minute).Should(Receive(&got))
		return got
	}
	drainEvents := func() string {
		return kubectl("get", "events.events.k8s.io", "-n", namespace, "--field-selector=reason=DrainIncomplete", "-o=jsonpath={.items[*].note}")
	}

	It("keeps SIGTERM from the server until the request in flight is answered", func() {
		got := deleteDuring(8) // longer than t2
		Expect(got.err).NotTo(HaveOccurred())
		Expect(got.text).To(HavePrefix("hello"))
		kubectl("wait", "-n", namespace, "pod/"+pod, "--for=delete", "--timeout="+settle.String())
		Expect(drainEvents()).To(BeEmpty())
	})

	It("causes an event if a request takes longer than t1", func() {
		findPod()
		Expect(deleteDuring(50).err).To(HaveOccurred())
		Eventually(drainEvents, time.Minute).Should(And(ContainSubstring("pod "+pod), ContainSubstring("requests without a complete response: 1;")))
	})
})
