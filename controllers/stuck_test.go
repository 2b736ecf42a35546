package controllers

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

const (
	stuckPodName = "hello-7d9f-abcde"
	pullError    = `failed to pull and unpack image "nope:1": not found`
	pullReason   = "; pod " + stuckPodName + ": container hello: ImagePullBackOff: ErrImagePull: " + pullError
)

// onListOfPods calls do before each list of pods.
func (w *testEnv) onListOfPods(do func(context.Context) error) {
	w.Live = interceptor.NewClient(api, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*corev1.PodList); ok {
				if err := do(ctx); err != nil {
					return err
				}
			}
			return c.List(ctx, list, opts...)
		},
	})
}

func (w *testEnv) countListsOfPods() *int {
	n := 0
	w.onListOfPods(func(context.Context) error { n++; return nil })
	return &n
}

// surge writes the Deployment's status as its controller would while one new pod is not available.
func (w *testEnv) surge() {
	GinkgoHelper()
	d := w.deployment()
	n := *d.Spec.Replicas
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n + 1, UpdatedReplicas: 1, ReadyReplicas: n, AvailableReplicas: n}
	Expect(api.Status().Update(ctx, d)).To(Succeed())
}

// stuckPod is one that the Deployment's newest ReplicaSet would have made.
func (w *testEnv) stuckPod(reason, message string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: stuckPodName, Namespace: w.namespace, Labels: map[string]string{"apps.gracefulapp.dev/name": "hello", "pod-template-hash": "7d9f"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "hello-7d9f", UID: "8b0e5c1a-0000-4000-8000-000000000001", Controller: new(true),
			}},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "hello", Image: "nope:1"}}},
	}
	Expect(api.Create(ctx, pod)).To(Succeed())
	DeferCleanup(func() {
		Expect(client.IgnoreNotFound(api.Delete(ctx, pod, client.GracePeriodSeconds(0)))).To(Succeed())
	})
	w.says(pod, reason, message)
	return pod
}

// says writes the pod's status as the kubelet would.
func (w *testEnv) says(pod *corev1.Pod, reason, message string) {
	GinkgoHelper()
	pod.Status.Phase = corev1.PodPending
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "hello", Image: "nope:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}}
	Expect(api.Status().Update(ctx, pod)).To(Succeed())
}

// runFor reconciles as a work queue does: at once, and after each requeue interval.
func (w *testEnv) runFor(d time.Duration) (writes int) {
	GinkgoHelper()
	for end := w.clock.Now().Add(d); ; {
		result, err := w.tryNow()
		Expect(err).NotTo(HaveOccurred())
		writes += len(w.writes)
		next := w.clock.Now().Add(result.RequeueAfter)
		if result.RequeueAfter == 0 || next.After(end) {
			w.clock.SetTime(end)
			return writes
		}
		w.clock.SetTime(next)
	}
}

// rollingOut returns the environment of an app with a rollout in which the new pod does not become available.
func rollingOut() *testEnv {
	GinkgoHelper()
	w := settled()
	w.change(testapp.Image("nope:1"))
	w.runFor(0)
	w.surge()
	return w
}

var _ = Describe("A rollout that is stuck", func() {
	It("names a stuck pod and the reason within a minute, until the pod recovers", func() {
		w := rollingOut()
		pod := w.stuckPod("ErrImagePull", pullError)
		w.runFor(time.Minute)
		Expect(w.readyMessage()).To(HaveSuffix(pullReason))
		Expect(w.conditions()).To(ConsistOf("Ready=False Progressing", "Reconciling=True Progressing"), "a pull may still succeed")

		By("writing no status while only the kubelet's message changes")
		w.says(pod, "ImagePullBackOff", `Back-off pulling image "nope:1": ErrImagePull: `+pullError)
		Expect(w.runFor(10 * time.Minute)).To(BeZero())
		Expect(w.readyMessage()).To(HaveSuffix(pullReason))

		By("restarting the operator")
		w.GracefulAppReconciler = &GracefulAppReconciler{Client: w.Client, Recorder: w.events, Clock: w.clock}
		Expect(w.runFor(time.Minute)).To(BeZero(), "the operator was restarted")

		By("showing another reason")
		w.says(pod, "CreateContainerConfigError", `secret "token" not found`)
		w.runFor(time.Minute)
		Expect(w.readyMessage()).To(HaveSuffix(`container hello: CreateContainerConfigError: secret "token" not found`))

		By("forgetting the pods of another spec")
		w.change(testapp.Image("hello:0.2.0"))
		w.runFor(0)
		Expect(w.readyMessage()).NotTo(ContainSubstring(stuckPodName))
	})

	It("no longer names the pod after it has recovered", func() {
		w := rollingOut()
		w.stuckPod("ErrImagePull", pullError)
		w.runFor(time.Minute)
		Expect(w.readyMessage()).To(ContainSubstring(stuckPodName))
		w.rollOut()
		w.runFor(0)
		Expect(w.conditions()).To(ConsistOf(available))
		Expect(w.readyMessage()).NotTo(ContainSubstring(stuckPodName))
	})

	It("does not name a pod that only has the labels", func() {
		w := rollingOut()
		pod := w.stuckPod("ErrImagePull", pullError)
		pod.OwnerReferences = nil
		Expect(api.Update(ctx, pod)).To(Succeed())
		w.runFor(time.Minute)
		Expect(w.readyMessage()).NotTo(ContainSubstring(stuckPodName))
	})

	It("causes less than two lists of pods per minute on average, and none when the app is Ready", func() {
		w := rollingOut()
		lists := w.countListsOfPods()
		w.stuckPod("ErrImagePull", pullError)
		w.runFor(time.Hour)
		Expect(*lists).To(BeNumerically("~", 60, 10))

		w.rollOut()
		*lists = 0
		w.runFor(time.Hour)
		Expect(w.conditions()).To(ConsistOf(available))
		Expect(*lists).To(BeZero())
	})

	It("names the pod in the one event of a missed deadline", func() {
		w := rollingOut()
		w.runFor(time.Minute)
		w.events.take()
		w.stuckPod("ErrImagePull", pullError)
		d := w.deployment()
		d.Status.Conditions = []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded",
			Message: `ReplicaSet "hello-7d9f" has timed out progressing.`,
		}}
		Expect(api.Status().Update(ctx, d)).To(Succeed())
		w.runFor(10 * time.Minute)
		Expect(w.events.take()).To(ConsistOf(And(HavePrefix("Warning ProgressDeadlineExceeded: "), ContainSubstring(pullReason))))
	})

	It("names the pod although the Service is rejected, which is tried once a minute", func() {
		w := rollingOut()
		w.stuckPod("ErrImagePull", pullError)
		applies := 0
		w.fail = func(verb, kind string) error {
			if verb != "Apply" || kind != "Service" {
				return nil
			}
			applies++
			return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "hello", nil)
		}
		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Service = &v1alpha1.ServiceTemplate{Metadata: v1alpha1.ServiceMetadata{Labels: map[string]string{"tier": "web"}}}
		})
		w.runFor(10 * time.Minute)
		Expect(w.conditions()).To(ConsistOf("Ready=False Rejected", "Stalled=True Rejected"))
		Expect(w.readyMessage()).To(And(ContainSubstring(`Service "hello" is invalid`), HaveSuffix(pullReason)))
		Expect(applies).To(BeNumerically("~", 10, 1))
	})

	It("says that the operator may not list pods, without a list and a log entry every 20 seconds", func() {
		w := rollingOut()
		w.stuckPod("ErrImagePull", pullError)
		lists, logged := 0, 0
		w.onListOfPods(func(context.Context) error {
			lists++
			return apierrors.NewForbidden(corev1.Resource("pods"), "", errors.New("no rule"))
		})
		defer func(old context.Context) { ctx = old }(ctx)
		ctx = log.IntoContext(ctx, funcr.New(func(_, args string) {
			if strings.Contains(args, `"error"`) {
				logged++
			}
		}, funcr.Options{}))
		w.runFor(10 * time.Minute)
		Expect(lists).To(BeNumerically("~", 10, 1))
		Expect(logged).To(Equal(1))
		Expect(w.readyMessage()).To(HaveSuffix("; the operator may not list pods: its ClusterRole lacks the verb list on pods"))

		By("naming the pod once the role has the verb")
		w.countListsOfPods()
		w.runFor(time.Minute)
		Expect(w.readyMessage()).To(HaveSuffix(pullReason))
	})

	// The Deployment's controller then ends no old pod: maxUnavailable is 0.
	It("is scaled down and up, gets another image, and recovers with the old one, with the reason in the status until then", func() {
		w := rollingOut()
		w.stuckPod("ErrImagePull", pullError)
		setImage := func(image string) {
			w.change(testapp.Image(image))
		}
		for _, step := range []struct {
			replicas int32
			image    string
		}{{4, "nope:1"}, {2, "nope:1"}, {1, "nope:1"}, {1, "nope:2"}, {3, "nope:2"}} {
			w.setReplicas(step.replicas)
			setImage(step.image)
			w.runFor(0)
			w.surge()
			w.runFor(time.Minute)
			d := w.deployment()
			Expect(*d.Spec.Replicas).To(Equal(step.replicas))
			Expect(d.Spec.Template.Spec.Containers[0].Image).To(Equal(step.image))
			Expect(d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue()).To(BeZero())
			Expect(w.readyMessage()).To(ContainSubstring(pullReason))
			Expect(w.conditions()).To(ContainElement(HavePrefix("Reconciling=True")))
		}
		setImage("hello:0.1.0")
		w.runFor(0)
		w.rollOut()
		w.runFor(time.Minute)
		Expect(w.conditions()).To(ConsistOf(available))
		Expect(w.readyMessage()).NotTo(ContainSubstring(stuckPodName))
	})

	It("is scaled and gets its status although the list of pods does not end", func() {
		w := rollingOut()
		w.runFor(0)
		w.clock.SetTime(w.clock.Now().Add(stuckAfter))
		w.setReplicas(5)
		other := newTestEnv()
		other.create()
		lists := 0
		w.onListOfPods(func(ctx context.Context) error {
			lists++
			Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(5), "the list comes before the scaling")
			deadline, ok := ctx.Deadline()
			Expect(ok && time.Until(deadline) <= podListTimeout).To(BeTrue(), "the list never ends")

			By("blocking no other worker")
			_, err := w.Reconcile(ctx, ctrl.Request{NamespacedName: other.key})
			Expect(err).NotTo(HaveOccurred())
			other.surge()
			for range 2 { // the new counts are written a second later
				_, err := w.Reconcile(ctx, ctrl.Request{NamespacedName: other.key})
				Expect(err).NotTo(HaveOccurred())
				w.clock.SetTime(w.clock.Now().Add(stuckAfter))
			}
			result, err := w.Reconcile(ctx, ctrl.Request{NamespacedName: other.key})
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).To(Equal(podListRetry))
			return context.DeadlineExceeded
		})
		_, err := w.tryNow()
		Expect(err).NotTo(HaveOccurred())
		Expect(lists).To(Equal(1))
		Expect(w.writes[0]).To(Equal(scaling))
		Expect(w.readyMessage()).To(ContainSubstring("of 5 replicas"))
	})
})

func TestMessageNamesTheStuckPodBesideAFailedWrite(t *testing.T) {
	tests := []struct {
		err    error
		reason string
	}{
		{err: apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "hello", nil), reason: v1alpha1.ReasonRejected},
		{err: &children.AlteredError{}, reason: v1alpha1.ReasonAltered},
		{err: errors.New("no answer"), reason: v1alpha1.ReasonApplyFailed},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			s := reconcileState{
				app: &v1alpha1.GracefulApp{}, err: tt.err, stuckPod: children.StuckPod{Pod: "hello-1", Reason: "cannot be scheduled"},
				observed: children.Observed{Deployment: observedDeployment([4]int32{3, 1, 2, 2})},
			}
			got := s.summary()
			if got.reason != tt.reason || got.message != singleLine(tt.err)+"; pod hello-1: cannot be scheduled" || !s.awaitsPods() {
				t.Errorf("%s: %q; awaits pods: %v", got.reason, got.message, s.awaitsPods())
			}
		})
	}
}

func TestMessageNamesTheStuckPod(t *testing.T) {
	app := &v1alpha1.GracefulApp{Spec: v1alpha1.GracefulAppSpec{Replicas: new(int32(2))}}
	stuck := children.StuckPod{Pod: "hello-1", Reason: "cannot be scheduled: \x1b[2J" + strings.Repeat("0/2 nodes\n", 1000), Others: 3}
	longest := `ReplicaSet "` + strings.Repeat("a", 63) + `-7d9f8c6b54" has timed out progressing`
	deadline := func(d *appsv1.Deployment) {
		deploymentSays(appsv1.DeploymentProgressing, corev1.ConditionFalse)(d)
		d.Status.Conditions[0].Message, d.Spec.ProgressDeadlineSeconds = longest+".", new(int32(math.MaxInt32))
	}
	tests := []struct {
		name   string
		modify []func(*appsv1.Deployment)
		start  string
		end    string
	}{
		{name: "in progress", start: "2 of 2 replicas are available, 2 ready, 1 up to date; pod hello-1: cannot be scheduled: \uFFFD[2J0/2 nodes 0/2", end: "; 3 more not ready"},
		{
			name: "past the deadline", modify: []func(*appsv1.Deployment){deadline},
			start: longest + "; pod hello-1: cannot be scheduled: \uFFFD[2J0/2 nodes 0/2", end: "increase spec.progressDeadlineSeconds (now 2147483647)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := reconcileState{app: app, observed: children.Observed{Deployment: observedDeployment([4]int32{3, 1, 2, 2}, tt.modify...)}, stuckPod: stuck}
			got := s.summary().message
			if !strings.HasPrefix(got, tt.start) || !strings.Contains(got, " …; 3 more not ready") || !strings.HasSuffix(got, tt.end) || len(got) > maxNoteBytes {
				t.Errorf("got %d bytes: %s", len(got), got)
			}
		})
	}
}
