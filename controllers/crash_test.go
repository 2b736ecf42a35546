package controllers

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// Sieve (OSDI 2022) found 46 bugs in ten operators with three patterns: the operator crashes between two writes, it reads a stale state, and it
// misses a state between two reads. After each of them, the objects must end in the same state as without it.

// maxReconciles is the maximum number of reconciles until one writes nothing: one writes the objects, one writes the status, the others follow
// conflicts.
const maxReconciles = 6

var errDead = errors.New("the operator has crashed")

// journeys are the changes after which the end state is compared. A journey starts without an app, or with an app that needs no write.
var journeys = []struct {
	name string
	// atRest is true if the app exists before the journey and needs no write.
	atRest bool
	begin  func(w *testEnv)
}{
	{name: "creation", atRest: false, begin: func(w *testEnv) { w.create(testapp.Everything) }},
	{name: "adoption", atRest: false, begin: func(w *testEnv) {
		Expect(api.Create(ctx, w.running())).To(Succeed())
		w.create(adopting)
	}},
	{name: "another template, and one pod", atRest: true, begin: func(w *testEnv) {
		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Replicas = new(int32(1))
			app.Spec.Timing.RequestSeconds = 30
			app.Spec.Template.Spec.Containers[0].Image = "hello:0.2.0"
			app.Spec.Service = nil
		})
	}},
	{name: "an edit by another client", atRest: true, begin: func(w *testEnv) {
		d := w.deployment()
		before := d.DeepCopy()
		d.Spec.MinReadySeconds = 1
		d.Spec.Template.Spec.Containers[0].Env = append(d.Spec.Template.Spec.Containers[0].Env, corev1.EnvVar{Name: "EXTRA", Value: "1"})
		Expect(api.Patch(ctx, d, client.StrategicMergeFrom(before), client.FieldOwner("kubectl-edit"))).To(Succeed())
		Expect(api.Delete(ctx, fetch(w, &corev1.Service{}))).To(Succeed())
	}},
}

// start prepares a new namespace for a journey.
func start(atRest bool) *testEnv {
	GinkgoHelper()
	w := newTestEnv()
	if atRest {
		w.create(testapp.Everything)
		w.settle()
	}
	return w
}

// settle reconciles until a reconcile writes nothing, and returns the number of writes.
func (w *testEnv) settle() int {
	GinkgoHelper()
	writes := 0
	for range maxReconciles {
		w.rollOutIfThere()
		_, err := w.try()
		Expect(err).NotTo(HaveOccurred())
		if len(w.writes) == 0 {
			return writes
		}
		writes += len(w.writes)
	}
	Fail(fmt.Sprintf("still writing after %d reconciles; the last one wrote %v", maxReconciles, w.writes))
	return writes
}

func (w *testEnv) rollOutIfThere() {
	GinkgoHelper()
	if err := api.Get(ctx, w.key, &appsv1.Deployment{}); err == nil {
		w.rollOut()
	}
}

// state returns the parts of the objects that must be the same at the end of each run.
func (w *testEnv) state() map[string]any {
	GinkgoHelper()
	state := map[string]any{"conditions": w.conditions()}
	d, s, b := &appsv1.Deployment{}, &corev1.Service{}, &policyv1.PodDisruptionBudget{}
	for _, object := range []client.Object{d, s, b} {
		if err := api.Get(ctx, w.key, object); err != nil {
			Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
			continue
		}
		kind := reflect.TypeOf(object).Elem().Name()
		state[kind+" labels"], state[kind+" owners"] = object.GetLabels(), len(object.GetOwnerReferences())
		var managers []string
		for _, e := range object.GetManagedFields() {
			if e.Subresource == "" {
				managers = append(managers, e.Manager+" "+string(e.Operation))
			}
		}
		state[kind+" managers"] = managers
	}
	s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil
	for i := range s.Spec.Ports {
		s.Spec.Ports[i].NodePort = 0
	}
	state["Deployment"], state["Service"], state["PodDisruptionBudget"] = d.Spec, s.Spec, b.Spec
	return state
}

var _ = Describe("The end state is the same", func() {
	for _, j := range journeys {
		It("after "+j.name+", if the operator crashes after any write", func() {
			undisturbed := start(j.atRest)
			j.begin(undisturbed)
			writes := undisturbed.settle()
			Expect(writes).To(BeNumerically(">", 1))
			for n := range writes {
				w := start(j.atRest)
				j.begin(w)
				made := 0
				w.fail = func(string, string) error {
					if made++; made > n {
						return errDead
					}
					return nil
				}
				for range maxReconciles { // until it dies
					if _, err := w.try(); errors.Is(err, errDead) {
						break
					}
					w.rollOutIfThere()
				}
				w.fail = nil
				Expect(w.settle()).To(BeNumerically("<=", writes+1), "crashed after %d writes", n)
				Expect(cmp.Diff(undisturbed.state(), w.state())).To(BeEmpty(), "crashed after %d writes", n)
			}
		})

		It("after "+j.name+", with a stale cache", func() {
			undisturbed := start(j.atRest)
			j.begin(undisturbed)
			writes := undisturbed.settle()

			w := start(j.atRest)
			w.remember() // before the journey
			before := w.remembered
			j.begin(w)
			w.forget()
			spent := 0
			for range maxReconciles {
				w.remembered = before.with(w.app()) // the app's own cache is a different one, and may be ahead
				_, err := w.try()
				if err != nil {
					Expect(apierrors.IsConflict(err)).To(BeTrue(), "%v", err)
				}
				spent += len(w.writes)
			}
			w.forget()
			spent += w.settle()
			Expect(cmp.Diff(undisturbed.state(), w.state())).To(BeEmpty())
			Expect(spent).To(BeNumerically("<=", writes+maxReconciles*5), "each stale reconcile may fail once")
		})
	}

	It("if the operator misses events", func() {
		images := []string{"hello:0.2.0", "hello:0.3.0", "hello:0.4.0", "hello:0.5.0"}
		play := func(missed func(i int) bool) map[string]any {
			w := start(true)
			for i, image := range images {
				w.change(func(app *v1alpha1.GracefulApp) {
					app.Spec.Template.Spec.Containers[0].Image = image
					app.Spec.Replicas = new(int32(i + 1))
				})
				if !missed(i) {
					w.settle()
				}
			}
			w.settle()
			return w.state()
		}
		all := play(func(int) bool { return false })
		for k := 1; k <= 3; k++ {
			Expect(cmp.Diff(all, play(func(i int) bool { return i%k == 0 }))).To(BeEmpty(), "every %d. missed", k)
		}
	})
})

// memory is the stale content of a cache.
type memory map[string]client.Object

func (m memory) with(object client.Object) memory {
	all := memory{}
	for kind, o := range m {
		all[kind] = o
	}
	all[reflect.TypeOf(object).Elem().Name()] = object
	return all
}

// remember makes the reconciler's reads of owned objects return their present state until forget is called.
func (w *testEnv) remember() {
	GinkgoHelper()
	w.remembered = memory{}
	for _, object := range []client.Object{&appsv1.Deployment{}, &corev1.Service{}, &policyv1.PodDisruptionBudget{}} {
		kind := reflect.TypeOf(object).Elem().Name()
		w.remembered[kind] = nil
		if err := api.Get(ctx, w.key, object); err == nil {
			w.remembered[kind] = object
		}
	}
}

func (w *testEnv) forget() { w.remembered = nil }

// read is the interceptor for Get.
func (w *testEnv) read(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	old, known := w.remembered[reflect.TypeOf(object).Elem().Name()]
	switch {
	case !known || key != w.key:
		return c.Get(ctx, key, object, opts...)
	case old == nil:
		return apierrors.NewNotFound(appsv1.Resource("remembered"), key.Name)
	}
	reflect.ValueOf(object).Elem().Set(reflect.ValueOf(old.DeepCopyObject()).Elem())
	return nil
}
