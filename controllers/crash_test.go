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
)

// Three patterns brought 46 bugs of ten operators to light (Sieve, OSDI 2022): the operator dies between two writes, it sees an old
// state, it misses what happened between two looks. Whatever comes of them, it must end as if nothing had been.

// mostPasses until everything is at rest: one that writes, one for the status that follows, and one to spare for each conflict.
const mostPasses = 6

var errDead = errors.New("the operator is dead")

// journeys lead from nothing, or from an app at rest, to another state.
var journeys = []struct {
	name string
	// atRest: the app exists and is at rest before it begins.
	atRest bool
	begin  func(w *world)
}{
	{"creation", false, func(w *world) { w.create(everything) }},
	{"adoption", false, func(w *world) {
		Expect(api.Create(ctx, w.running())).To(Succeed())
		w.create(adopting)
	}},
	{"another template, and one pod", true, func(w *world) {
		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Replicas = new(int32(1))
			app.Spec.Timing.RequestSeconds = 30
			app.Spec.Template.Spec.Containers[0].Image = "hello:0.2.0"
			app.Spec.Service = nil
		})
	}},
	{"an edit of somebody else's", true, func(w *world) {
		d := w.deployment()
		before := d.DeepCopy()
		d.Spec.MinReadySeconds = 1
		d.Spec.Template.Spec.Containers[0].Env = append(d.Spec.Template.Spec.Containers[0].Env, corev1.EnvVar{Name: "EXTRA", Value: "1"})
		Expect(api.Patch(ctx, d, client.StrategicMergeFrom(before), client.FieldOwner("kubectl-edit"))).To(Succeed())
		Expect(api.Delete(ctx, fetch(w, &corev1.Service{}))).To(Succeed())
	}},
}

// start brings a new world to the beginning of a journey.
func start(atRest bool) *world {
	GinkgoHelper()
	w := newWorld()
	if atRest {
		w.create(everything)
		w.settle()
	}
	return w
}

// settle runs passes until one writes nothing, and returns how many writes that took.
func (w *world) settle() int {
	GinkgoHelper()
	writes := 0
	for range mostPasses {
		w.rollOutIfThere()
		_, err := w.try()
		Expect(err).NotTo(HaveOccurred())
		if len(w.writes) == 0 {
			return writes
		}
		writes += len(w.writes)
	}
	Fail(fmt.Sprintf("no rest after %d passes; the last wrote %v", mostPasses, w.writes))
	return writes
}

func (w *world) rollOutIfThere() {
	GinkgoHelper()
	if err := api.Get(ctx, w.key, &appsv1.Deployment{}); err == nil {
		w.rollOut()
	}
}

// state is what must be the same in the end, whatever happened on the way.
func (w *world) state() map[string]any {
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

var _ = Describe("The end of a journey is the same", func() {
	for _, j := range journeys {
		It("after "+j.name+", wherever the operator died", func() {
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
				for range mostPasses { // until it dies
					if _, err := w.try(); errors.Is(err, errDead) {
						break
					}
					w.rollOutIfThere()
				}
				w.fail = nil
				Expect(w.settle()).To(BeNumerically("<=", writes+1), "dead after %d writes", n)
				Expect(cmp.Diff(undisturbed.state(), w.state())).To(BeEmpty(), "dead after %d writes", n)
			}
		})

		It("after "+j.name+", with a cache that is behind", func() {
			undisturbed := start(j.atRest)
			j.begin(undisturbed)
			writes := undisturbed.settle()

			w := start(j.atRest)
			w.remember() // before the journey
			before := w.remembered
			j.begin(w)
			w.forget()
			spent := 0
			for range mostPasses {
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
			Expect(spent).To(BeNumerically("<=", writes+mostPasses*5), "a stale pass may try in vain, and not more than that")
		})
	}

	It("when every second event is missed", func() {
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

// memory is an old state that a cache still shows.
type memory map[string]client.Object

func (m memory) with(object client.Object) memory {
	all := memory{}
	for kind, o := range m {
		all[kind] = o
	}
	all[reflect.TypeOf(object).Elem().Name()] = object
	return all
}

// remember makes the reconciler's reads of children return what is now, until forget.
func (w *world) remember() {
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

func (w *world) forget() { w.remembered = nil }

// read is the interceptor for Get.
func (w *world) read(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
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
