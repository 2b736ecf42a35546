package controllers

import (
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// grant gives a user the operator's permissions, but only in one namespace.
func grant(user, namespace string) {
	GinkgoHelper()
	text, err := os.ReadFile("../config/rbac/role.yaml")
	Expect(err).NotTo(HaveOccurred())
	role := &rbacv1.ClusterRole{}
	Expect(yaml.UnmarshalStrict(text, role)).To(Succeed())
	role.Name = user
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user, Namespace: namespace}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: user},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: user}},
	}
	for _, object := range []client.Object{role, binding} {
		Expect(api.Create(ctx, object)).To(Succeed())
		DeferCleanup(func() { Expect(api.Delete(ctx, object)).To(Succeed()) })
	}
}

var _ = Describe("An operator of one namespace", func() {
	It("needs only a RoleBinding there, and reconciles no other app", func() {
		const user = "operator-of-one-namespace"
		own, other := newTestEnv(), newTestEnv()
		grant(user, own.namespace)
		other.create()
		recorder := events.NewFakeRecorder(1000)
		stop := startManagerAs(impersonated(user), []string{own.namespace}, func(r *GracefulAppReconciler) { r.Recorder = recorder })
		own.create(testapp.Replicas(2))
		for _, object := range []client.Object{&appsv1.Deployment{}, &corev1.Service{}} {
			Eventually(func() error { return api.Get(ctx, own.key, object) }).Should(Succeed())
		}
		Eventually(func() int64 { return own.app().Status.ObservedGeneration }).Should(Equal(own.app().Generation))
		Expect(api.Get(ctx, other.key, &appsv1.Deployment{})).To(MatchError(ContainSubstring("not found")))
		Eventually(func() chan string { // the manager does not wait until it watches the pods
			endPod(own, "killed", map[string]string{plan.DrainLabel: own.key.Name}, corev1.ContainerStateTerminated{ExitCode: 137})
			return recorder.Events
		}).Should(Receive(HavePrefix("Warning " + v1alpha1.ReasonDrainIncomplete)))
		stop()

		Expect(own.app().Status.Conditions).NotTo(ContainElement(HaveField("Type", v1alpha1.ConditionStalled)))
	})
})
