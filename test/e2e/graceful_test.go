//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// These specs test each step of a pod's termination, without load, so a busy machine does not affect them. The lab tests that these steps are enough
// under load, on a machine that is fast enough for the load.
var _ = Describe("A pod that is deleted with a request in flight", Ordered, func() {
	// The request lasts longer than t2, so SIGTERM comes while it is in flight.
	const requestSeconds, t2, t3 = 10, 5, 25
	var (
		namespace  string
		pod, other corev1.Pod
		end        podEnd
		answer     = make(chan error, 1)
		text       string
	)
	BeforeAll(func() {
		namespace = newNamespace()
		Expect(apply(namespace, hello(fmt.Sprintf("startupSeconds: 5, requestSeconds: %d", requestSeconds)))).To(Succeed())
		waitReady(namespace)
		var pods corev1.PodList
		Expect(yamlInto(kubectl("get", "pods", "-n", namespace, "-o", "yaml"), &pods)).To(Succeed())
		Expect(pods.Items).To(HaveLen(2))
		pod, other = pods.Items[0], pods.Items[1]

		end.watch(namespace, pod.Name)
		get := func(path string) (string, error) {
			return tryKubectl("", "exec", "-n", namespace, other.Name, "--", "/hello", "get", fmt.Sprintf("http://%s:8080%s", pod.Status.PodIP, path))
		}
		go func() {
			var err error
			text, err = get("/?seconds=" + strconv.Itoa(requestSeconds))
			answer <- err
		}()
		Eventually(func() (string, error) { return get("/status") }).Should(ContainSubstring(`"inFlight":1,`))
		kubectl("delete", "pod", pod.Name, "-n", namespace, "--wait=false")
		Eventually(end.logEnded).Should(BeTrue(), "the log of the pod ends")
	})

	It("has the grace period t3", func() {
		Expect(*pod.Spec.TerminationGracePeriodSeconds).To(BeEquivalentTo(t3))
		Expect(end.grace()).To(BeEquivalentTo(t3), "metadata.deletionGracePeriodSeconds")
	})

	It("leaves the ready endpoints after the preStop hook began and before SIGTERM", func() {
		Expect(end.at("draining")).NotTo(BeZero(), "the preStop hook was called")
		Expect(end.at("shutting down")).NotTo(BeZero(), "SIGTERM came")
		Expect(end.terminating()).NotTo(BeZero(), "the endpoint was terminating and not ready")
		Expect(end.terminating()).To(BeTemporally("<", end.at("shutting down")))
	})

	It("gets SIGTERM only after the preStop hook has run for t2", func() {
		Expect(end.at("drained")).To(BeTemporally(">=", end.at("draining").Add(t2*time.Second)))
		Expect(end.at("shutting down")).To(BeTemporally(">=", end.at("drained")))
	})

	It("answers the request and exits", func() {
		Eventually(answer).Should(Receive(BeNil()))
		Expect(text).To(Equal(fmt.Sprintf("hello after %ds\n", requestSeconds)))
		Expect(end.at("ended")).NotTo(BeZero(), "the kubelet did not kill it")
		Expect(end.lastLine()).To(ContainSubstring(`"msg":"ended"`), "an error would be logged after it")
	})
})

// podEnd records the termination of a pod from its log and from the API server. Cluster and test run on one machine, so all times have one clock.
type podEnd struct {
	mu       sync.Mutex
	lines    map[string]time.Time // time of a log line by its message
	last     string
	ended    bool
	endpoint time.Time
	granted  int64
}

func (e *podEnd) logEnded() bool { return locked(e, func() bool { return e.ended }) }

// at returns the time at which the pod logged the message, or zero.
func (e *podEnd) at(message string) time.Time {
	return locked(e, func() time.Time { return e.lines[message] })
}

func (e *podEnd) lastLine() string { return locked(e, func() string { return e.last }) }

// terminating returns the time at which the pod's endpoint was first seen as terminating and not ready.
func (e *podEnd) terminating() time.Time { return locked(e, func() time.Time { return e.endpoint }) }

// grace returns the pod's metadata.deletionGracePeriodSeconds.
func (e *podEnd) grace() int64 { return locked(e, func() int64 { return e.granted }) }

func locked[T any](e *podEnd, read func() T) T {
	e.mu.Lock()
	defer e.mu.Unlock()
	return read()
}

// watch records the pod's log, its object and its endpoint until the specs have ended.
func (e *podEnd) watch(namespace, pod string) {
	GinkgoHelper()
	e.lines = map[string]time.Time{}
	follow(func(d *bufio.Scanner) {
		for d.Scan() {
			e.addLine(d.Text())
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.ended = true
	}, "logs", "-f", "-n", namespace, pod)
	follow(func(d *bufio.Scanner) {
		for d.Scan() {
			var event struct{ Object corev1.Pod }
			if json.Unmarshal(d.Bytes(), &event) == nil {
				e.addPod(event.Object)
			}
		}
	}, "get", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/pods?watch=1&fieldSelector=metadata.name=%s", namespace, pod))
	follow(func(d *bufio.Scanner) {
		for d.Scan() {
			var event struct{ Object discoveryv1.EndpointSlice }
			if json.Unmarshal(d.Bytes(), &event) == nil {
				e.addSlice(event.Object, pod)
			}
		}
	}, "get", "--raw", fmt.Sprintf("/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices?watch=1", namespace))
}

func (e *podEnd) addLine(text string) {
	var line struct {
		Time time.Time
		Msg  string
	}
	if json.Unmarshal([]byte(text), &line) != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines[line.Msg], e.last = line.Time, text
}

func (e *podEnd) addPod(pod corev1.Pod) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if pod.DeletionGracePeriodSeconds != nil {
		e.granted = max(e.granted, *pod.DeletionGracePeriodSeconds)
	}
}

func (e *podEnd) addSlice(slice discoveryv1.EndpointSlice, pod string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range slice.Endpoints {
		if p.TargetRef == nil || p.TargetRef.Name != pod || p.Conditions.Terminating == nil || p.Conditions.Ready == nil {
			continue
		}
		if *p.Conditions.Terminating && !*p.Conditions.Ready && e.endpoint.IsZero() {
			e.endpoint = time.Now()
		}
	}
}

// follow starts a kubectl command that streams, such as logs -f, and passes its output to read until the specs have ended.
func follow(read func(*bufio.Scanner), args ...string) {
	GinkgoHelper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	out, err := cmd.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(cmd.Start()).To(Succeed(), "kubectl %s", strings.Join(args, " "))
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		read(lines)
	})
	DeferCleanup(func() {
		cancel()
		reading.Wait()
		_ = cmd.Wait() // cancel killed it, so it returns an error
	})
}
