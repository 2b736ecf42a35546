package controllers

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

var _ = Describe("The end of a drain sidecar", func() {
	// endPod stores a pod of the app whose sidecar has ended, and deletes it as the kubelet does.
	endPod := func(w *testEnv, name string, labels map[string]string, end corev1.ContainerStateTerminated) {
		GinkgoHelper()
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "hello", Image: "hello"}}},
		}
		Expect(api.Create(ctx, pod)).To(Succeed())
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "graceful-drain", State: corev1.ContainerState{Terminated: &end}}}
		Expect(api.Status().Update(ctx, pod)).To(Succeed())
		Expect(api.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
	}

	It("is an event if requests were lost, or if it was killed", func() {
		w := newTestEnv()
		recorder := events.NewFakeRecorder(1000)
		startManager(func(r *GracefulAppReconciler) { r.Recorder = recorder })
		w.create()
		var got []string
		reported := func() []string {
			for len(recorder.Events) > 0 {
				if e := <-recorder.Events; strings.HasPrefix(e, "Warning DrainIncomplete ") {
					got = append(got, strings.TrimPrefix(e, "Warning DrainIncomplete "))
				}
			}
			return got
		}
		drained := map[string]string{plan.DrainLabel: "hello"}
		killed := corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}
		Eventually(func() []string { // the manager does not wait until it watches the pods
			endPod(w, "killed", drained, killed)
			return reported()
		}).Should(ContainElement("pod killed: the drain sidecar was ended by SIGKILL (OOMKilled), so requests may be lost"))

		endPod(w, "no-sidecar", nil, killed)
		endPod(w, "other-app", map[string]string{plan.DrainLabel: "other"}, killed)
		endPod(w, "drained", drained, corev1.ContainerStateTerminated{Message: "drained 5.1 s after the deletion of the pod"})
		endPod(w, "cut", drained, corev1.ContainerStateTerminated{ExitCode: 1, Message: "requests without a complete response: 2\n"})
		const cut = "pod cut: the drain sidecar ended with exit code 1: requests without a complete response: 2; if its requests take longer than " +
			"spec.timing.requestSeconds, increase that"
		Eventually(reported).Should(ContainElement(cut))
		Expect(got).To(HaveEach(Or(HavePrefix("pod killed"), Equal(cut))))
	})
})
