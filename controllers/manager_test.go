package controllers

import (
	"context"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// startManager runs the controller with a manager, as the operator does, until stop is called or the spec ends.
func startManager(modify ...func(*GracefulAppReconciler)) (stop func()) {
	GinkgoHelper()
	return startManagerAs(config, nil, modify...)
}

// startManagerAs is startManager for the operator of some namespaces, with the permissions of the configuration.
func startManagerAs(config *rest.Config, namespaces []string, modify ...func(*GracefulAppReconciler)) (stop func()) {
	GinkgoHelper()
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Cache: CacheOptions(namespaces...), Metrics: metricsserver.Options{BindAddress: "0"},
		Client:     client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Controller: ctrlconfig.Controller{SkipNameValidation: new(true)}, // one after another, each with the same name
	})
	Expect(err).NotTo(HaveOccurred())
	Expect(children.IndexFields(ctx, mgr.GetFieldIndexer())).To(Succeed())
	reconciler := &GracefulAppReconciler{Client: mgr.GetClient(), Recorder: events.NewFakeRecorder(10_000), Clock: clock.RealClock{},
		Live: mgr.GetAPIReader(), Namespaces: namespaces}
	for _, m := range modify {
		m(reconciler)
	}
	Expect(reconciler.SetupWithManager(mgr)).To(Succeed())
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- mgr.Start(running) }()
	stop = sync.OnceFunc(func() {
		cancel()
		Expect(<-ended).To(Succeed())
	})
	DeferCleanup(stop)
	return stop
}

// impersonated returns the configuration of a user who has no group, and so only the permissions that a spec grants.
func impersonated(user string) *rest.Config {
	limited := rest.CopyConfig(config)
	limited.Impersonate.UserName = user
	return limited
}

// hurriedClock is a clock on which a minute takes a hundredth of a second, so that few writes are delayed. The work queue uses the real clock.
type hurriedClock struct {
	clock.RealClock
	began time.Time
}

func (c hurriedClock) Now() time.Time { return c.began.Add(6000 * c.Since(c.began)) }

// With a manager, the reconciler reads from caches, which may be stale.
var _ = Describe("The manager", func() {
	// The cache has little of an object without a controller, so the event of a change may show no difference.
	It("adopts an object as soon as it can be adopted", func() {
		startManager()
		w := newTestEnv()
		Expect(api.Create(ctx, w.running())).To(Succeed())
		w.create(adopting, testapp.Replicas(5))
		Eventually(w.conditions).Should(ContainElement("Stalled=True InvalidSpec"), "the Deployment has 3 replicas")
		Expect(api.Patch(ctx, w.deployment(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":5}}`)))).To(Succeed())
		Eventually(w.conditions).ShouldNot(ContainElement("Stalled=True InvalidSpec"))
		Eventually(func() bool { return metav1.IsControlledBy(w.deployment(), w.app()) }).Should(BeTrue(), w.readyMessage)
	})

	It("always becomes Ready again after an owned object was restored", func() {
		startManager(func(r *GracefulAppReconciler) { r.Clock = hurriedClock{began: r.Clock.Now()} }) // the repairs are more than a minute's writes
		w := newTestEnv()
		w.create()
		isReady := func(g Gomega) {
			g.Expect(meta.IsStatusConditionTrue(w.app().Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		}
		Eventually(func() error { return api.Get(ctx, w.key, &appsv1.Deployment{}) }).Should(Succeed())
		w.rollOut()
		Eventually(isReady).Should(Succeed())
		for range 10 {
			service := fetch(w, &corev1.Service{})
			before := service.DeepCopy()
			broken := rand.String(5)
			service.Labels["apps.gracefulapp.dev/name"] = broken
			Expect(api.Patch(ctx, service, client.MergeFrom(before), client.FieldOwner("kubectl-edit"))).To(Succeed())
			Eventually(func() string { return fetch(w, &corev1.Service{}).Labels["apps.gracefulapp.dev/name"] }).
				ShouldNot(Equal(broken))
			Eventually(isReady).WithTimeout(time.Minute).Should(Succeed()) // a status that is put off comes after 30 s of real time
		}
	})
})
