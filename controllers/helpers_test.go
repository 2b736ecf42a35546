package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// testEnv is the environment of one test: a namespace, one app, and a reconciler that the test calls itself.
type testEnv struct {
	*GracefulAppReconciler
	namespace string
	key       client.ObjectKey
	events    *recordedEvents
	clock     *clocktesting.FakePassiveClock
	// writes are the writes of the last reconcile, for example "Apply Deployment". Some of them run at the same time, so mu is held while one is added.
	mu     sync.Mutex
	writes []string
	// fail returns the error of a write; nil means that every write succeeds.
	fail func(verb, kind string) error
	// lost is the error of a write of the status that the API server stores, because its response is lost; nil means that each response arrives.
	lost error
	// remembered is the stale state that reads return, by kind; nil means that reads are current.
	remembered memory
}

func newTestEnv() *testEnv {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "app-"}}
	Expect(api.Create(ctx, namespace)).To(Succeed())
	w := &testEnv{namespace: namespace.Name, events: &recordedEvents{}}
	// envtest has no namespace controller, so the manager of a later test would reconcile the objects that remain.
	DeferCleanup(func() {
		for _, kind := range []client.Object{&v1alpha1.GracefulApp{}, &appsv1.Deployment{}, &policyv1.PodDisruptionBudget{}, &corev1.Service{}} {
			Expect(api.DeleteAllOf(ctx, kind, client.InNamespace(w.namespace))).To(Succeed())
		}
	})
	w.key = client.ObjectKey{Namespace: namespace.Name, Name: "hello"}
	w.clock = clocktesting.NewFakePassiveClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	w.GracefulAppReconciler = &GracefulAppReconciler{
		Client:   interceptor.NewClient(testapp.Unindexed(api), w.interceptors()),
		Recorder: w.events,
		Clock:    w.clock,
	}
	return w
}

func (w *testEnv) write(verb string, object any) error {
	kind := fmt.Sprintf("%T", object)
	switch o := object.(type) {
	case client.Object:
		if gvk, err := w.GroupVersionKindFor(o); err == nil {
			kind = gvk.Kind
		}
	case interface{ GetKind() *string }:
		kind = *o.GetKind()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, verb+" "+kind)
	if w.fail != nil {
		return w.fail(verb, kind)
	}
	return nil
}

func (w *testEnv) interceptors() interceptor.Funcs {
	return interceptor.Funcs{
		Get: w.read,
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if options := (&client.ApplyOptions{}).ApplyOptions(opts); len(options.DryRun) > 0 {
				return c.Apply(ctx, o, opts...)
			}
			if err := w.write("Apply", o); err != nil {
				return err
			}
			return c.Apply(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := w.write("Delete", o); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := w.write("Patch", o); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch,
			opts ...client.SubResourcePatchOption) error {
			if err := w.write("Patch "+sub, o); err != nil {
				return err
			}
			return errors.Join(c.SubResource(sub).Patch(ctx, o, p, opts...), w.lost)
		},
	}
}

// create stores an app named hello, after the given modifications.
func (w *testEnv) create(modify ...testapp.Modifier) *v1alpha1.GracefulApp {
	GinkgoHelper()
	app := testapp.New(append([]testapp.Modifier{testapp.Name(w.namespace, "hello")}, modify...)...)
	Expect(api.Create(ctx, app)).To(Succeed())
	return app
}

func (w *testEnv) change(modify testapp.Modifier) {
	GinkgoHelper()
	app := w.app()
	before := app.DeepCopy()
	modify(app)
	Expect(api.Patch(ctx, app, client.MergeFrom(before))).To(Succeed())
}

// reconcile reconciles the app once and returns the writes.
func (w *testEnv) reconcile() []string {
	GinkgoHelper()
	_, err := w.try()
	Expect(err).NotTo(HaveOccurred())
	return w.writes
}

// try advances the clock by a minute, so that earlier writes no longer count, and reconciles the app. As the work queue does, it reconciles once more if
// only the counts in the status differed.
func (w *testEnv) try() (ctrl.Result, error) {
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	result, err := w.tryNow()
	if state := w.states.byApp[w.key]; err == nil && state != nil && !state.countsChanged.IsZero() {
		writes := w.writes
		w.clock.SetTime(w.clock.Now().Add(result.RequeueAfter))
		result, err = w.tryNow()
		w.writes = append(writes, w.writes...)
	}
	return result, err
}

func (w *testEnv) tryNow() (ctrl.Result, error) {
	w.writes = nil
	return w.Reconcile(ctx, ctrl.Request{NamespacedName: w.key})
}

func (w *testEnv) app() *v1alpha1.GracefulApp { return fetch(w, &v1alpha1.GracefulApp{}) }

func (w *testEnv) deployment() *appsv1.Deployment { return fetch(w, &appsv1.Deployment{}) }

func (w *testEnv) budget() *policyv1.PodDisruptionBudget {
	return fetch(w, &policyv1.PodDisruptionBudget{})
}

func fetch[T client.Object](w *testEnv, object T) T {
	GinkgoHelper()
	Expect(api.Get(ctx, w.key, object)).To(Succeed())
	return object
}

func (w *testEnv) absent(object client.Object) {
	GinkgoHelper()
	err := api.Get(ctx, w.key, object)
	Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%T is there, or: %v", object, err)
}

// rollOut writes the Deployment's status as the Deployment controller does after a completed rollout.
func (w *testEnv) rollOut() {
	GinkgoHelper()
	d := w.deployment()
	n := *d.Spec.Replicas
	d.Status = appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n,
	}
	Expect(api.Status().Update(ctx, d)).To(Succeed())
}

// conditions returns the app's conditions as "Type=Status Reason".
func (w *testEnv) conditions() []string {
	GinkgoHelper()
	var all []string
	for _, c := range w.app().Status.Conditions {
		all = append(all, fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason))
	}
	return all
}

func (w *testEnv) readyMessage() string {
	GinkgoHelper()
	return meta.FindStatusCondition(w.app().Status.Conditions, v1alpha1.ConditionReady).Message
}

// recordedEvents keeps events as "Type Reason: note".
type recordedEvents struct{ all []string }

func (r *recordedEvents) Eventf(_, _ runtime.Object, kind, reason, _, note string, args ...any) {
	r.all = append(r.all, fmt.Sprintf("%s %s: %s", kind, reason, fmt.Sprintf(note, args...)))
}

func (r *recordedEvents) take() []string {
	all := r.all
	r.all = nil
	return all
}

func quantity(s string) resource.Quantity { return resource.MustParse(s) }

func fromName(name string) intstr.IntOrString { return intstr.FromString(name) }

// countsDrainingPods reports whether a Deployment has status.terminatingReplicas: since Kubernetes 1.35.
func countsDrainingPods() bool { return minorVersion() >= 35 }

func minorVersion() int {
	GinkgoHelper()
	minor, err := testapp.MinorVersion(config)
	Expect(err).NotTo(HaveOccurred())
	return minor
}

// enforce creates an admission policy. stop deletes it.
func enforce(p testapp.Policy) (stop func()) {
	GinkgoHelper()
	Expect(p.Create(ctx, api)).To(Succeed())
	return func() { Expect(p.Delete(ctx, api)).To(Succeed()) }
}
