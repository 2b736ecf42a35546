package controllers

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// endPod stores a pod of the app whose sidecar has ended, and deletes it as the kubelet does.
func endPod(w *testEnv, name string, labels map[string]string, end corev1.ContainerStateTerminated) {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "hello", Image: "hello"}}},
	}
	Expect(api.Create(ctx, pod)).To(Succeed())
	if end.Reason != "ContainerStatusUnknown" { // the kubelet reports this of a container that never started
		end.StartedAt = metav1.Now()
	}
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "graceful-drain", State: corev1.ContainerState{Terminated: &end}}}
	Expect(api.Status().Update(ctx, pod)).To(Succeed())
	Expect(api.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
}

var _ = Describe("The end of a drain sidecar", func() {
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
		endPod(w, "never-started", drained, corev1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown"})
		endPod(w, "panic", drained, corev1.ContainerStateTerminated{ExitCode: 2})
		endPod(w, "busy-port", drained, corev1.ContainerStateTerminated{ExitCode: 2, Message: "listen tcp :18080: bind: address already in use\n"})
		endPod(w, "drained", drained, corev1.ContainerStateTerminated{Message: "drained 5.1 s after the deletion of the pod"})
		endPod(w, "cut", drained, corev1.ContainerStateTerminated{ExitCode: 1, Message: "requests without a complete response: 2\n"})
		const (
			failed = "pod panic: the drain sidecar failed with exit code 2, so requests may be lost"
			busy   = "pod busy-port: the drain sidecar failed, so requests may be lost: listen tcp :18080: bind: address already in use"
			cut    = "pod cut: requests without a complete response: 2; if requests take longer than spec.timing.requestSeconds, increase that"
		)
		Eventually(reported).Should(ContainElement(cut))
		Expect(got).To(HaveEach(Or(HavePrefix("pod killed"), Equal(failed), Equal(busy), Equal(cut))))
		Expect(got).To(ContainElements(failed, busy))
	})

	It("is not seen with the ClusterRole of an older version, which permits no watch of pods, and all else works", func() {
		const older = "older-version"
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: older}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"services", "resourcequotas", "events"}, Verbs: []string{"*"}},
			{APIGroups: []string{"apps", "policy", "autoscaling", "admissionregistration.k8s.io", v1alpha1.GroupVersion.Group}, Resources: []string{"*"}, Verbs: []string{"*"}},
		}}
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: older}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: older},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: older}},
		}
		for _, object := range []client.Object{role, binding} {
			Expect(api.Create(ctx, object)).To(Succeed())
			DeferCleanup(func() { Expect(api.Delete(ctx, object)).To(Succeed()) })
		}
		startManagerAs(impersonated(older), nil)
		w := newTestEnv()
		w.create()
		Eventually(func() error { return api.Get(ctx, w.key, &appsv1.Deployment{}) }).Should(Succeed())
	})
})
