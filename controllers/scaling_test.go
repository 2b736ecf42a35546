package controllers

import (
	"errors"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// settled returns the environment of an app that is Ready. The app has a variable and a pull secret.
func settled() *testEnv {
	GinkgoHelper()
	w := newTestEnv()
	w.create(func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "REV", Value: "1"}}
		app.Spec.Template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	})
	w.settle()
	Expect(w.conditions()).To(ConsistOf(available))
	return w
}

// failAllBut makes all writes fail, except one kind of write.
func (w *testEnv) failAllBut(write string) {
	w.fail = func(verb, kind string) error {
		if verb+" "+kind == write {
			return nil
		}
		return apierrors.NewInternalError(errors.New(kind + " is not written"))
	}
}

const scaling = "Patch scale Deployment"

var _ = Describe("A Deployment with a duplicate list entry", func() {
	const container = "/spec/template/spec/containers/0"
	DescribeTable("is scaled and rolled out, and the entry is restored", func(patch string, isTwice func(corev1.PodSpec) bool, stays bool) {
		w := settled()
		Expect(api.Patch(ctx, w.deployment(), client.RawPatch(types.JSONPatchType, []byte(patch)), client.FieldOwner("kubectl-patch"))).To(Succeed())
		Expect(isTwice(w.deployment().Spec.Template.Spec)).To(BeTrue())
		w.setReplicas(5)
		Expect(w.reconcile()[0]).To(Equal(scaling))
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(5))
		w.settle()
		Expect(isTwice(w.deployment().Spec.Template.Spec)).To(Equal(stays))

		w.change(testapp.Image("hello:0.2.0"))
		w.settle()
		Expect(w.deployment().Spec.Template.Spec.Containers[0].Image).To(Equal("hello:0.2.0"))
		Expect(w.conditions()).To(ConsistOf(available))
		Expect(w.reconcile()).To(BeEmpty())
	},
		Entry("a variable of the app", `[{"op":"add","path":"`+container+`/env/-","value":{"name":"REV","value":"2"}}]`, hasVariableTwice("REV"), false),
		Entry("a derived variable", `[{"op":"add","path":"`+container+`/env/-","value":{"name":"GRACEFUL_PRESTOP_SEC","value":"0"}}]`,
			hasVariableTwice("GRACEFUL_PRESTOP_SEC"), false),
		Entry("a port", `[{"op":"add","path":"`+container+`/ports/-","value":{"name":"web","containerPort":8080}}]`,
			func(pod corev1.PodSpec) bool { return len(pod.Containers[0].Ports) == 2 }, false),
		Entry("a pull secret", `[{"op":"add","path":"/spec/template/spec/imagePullSecrets/-","value":{"name":"registry"}}]`,
			func(pod corev1.PodSpec) bool { return len(pod.ImagePullSecrets) == 2 }, false),
		Entry("a variable of another client, which stays", `[{"op":"add","path":"`+container+`/env/-","value":{"name":"TRACE","value":"1"}},
			{"op":"add","path":"`+container+`/env/-","value":{"name":"TRACE","value":"2"}}]`, hasVariableTwice("TRACE"), true),
	)
})

func hasVariableTwice(name string) func(corev1.PodSpec) bool {
	return func(pod corev1.PodSpec) bool {
		n := 0
		for _, variable := range pod.Containers[0].Env {
			if variable.Name == name {
				n++
			}
		}
		return n > 1
	}
}

var _ = Describe("Scaling", func() {
	It("is the first write after a change, and succeeds even if all others fail", func() {
		w := settled()
		w.change(func(app *v1alpha1.GracefulApp) {
			app.Spec.Replicas = new(int32(7))
			app.Spec.Template.Spec.Containers[0].Image = "hello:0.2.0"
			app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 81}}}}
		})
		w.failAllBut(scaling)
		_, err := w.try()
		Expect(err).To(HaveOccurred())
		Expect(w.writes[0]).To(Equal(scaling))
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(7))

		w.setReplicas(3)
		_, err = w.try()
		Expect(err).To(HaveOccurred())
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(3))
		w.fail = nil
		w.settle()
		Expect(w.conditions()).To(ConsistOf(available))
		Expect(w.reconcile()).To(BeEmpty())
	})

	It("is a single write", func() {
		w := settled()
		w.setReplicas(4)
		Expect(w.reconcile()).To(Equal([]string{scaling, onlyStatus}))
		w.rollOut()
		Expect(w.reconcile()).To(Equal([]string{onlyStatus}))
		Expect(w.reconcile()).To(BeEmpty())
	})
})

var _ = Describe("A status in which only the counts differ", func() {
	It("is written a second later, with the counts of then", func() {
		w := settled()
		drains := func(n int32) {
			d := w.deployment()
			d.Status.TerminatingReplicas = &n
			Expect(api.Status().Update(ctx, d)).To(Succeed())
		}
		drains(1)
		result, err := w.tryNow()
		Expect(err).NotTo(HaveOccurred())
		Expect(w.writes).To(BeEmpty())
		if !countsDrainingPods() {
			Skip("the API server of Kubernetes 1.34 does not store this count")
		}
		Expect(result.RequeueAfter).To(Equal(countsDelay))
		drains(2)
		w.clock.SetTime(w.clock.Now().Add(countsDelay))
		_, err = w.tryNow()
		Expect(err).NotTo(HaveOccurred())
		Expect(w.writes).To(Equal([]string{onlyStatus}))
		Expect(w.app().Status.TerminatingReplicas).To(HaveValue(BeEquivalentTo(2)))
	})
})

var _ = Describe("An owned object that has lost its owner reference", func() {
	for _, d := range derivedFields {
		It("is still the app's own: the "+d.kind+" gets it back", func() {
			w := settled()
			object := w.stored(d)
			object.SetOwnerReferences(nil)
			Expect(api.Update(ctx, object, client.FieldOwner("kubectl-edit"))).To(Succeed())
			w.setReplicas(5)
			Expect(w.reconcile()[0]).To(Equal(scaling))
			Expect(w.app().Status.Replicas).To(BeEquivalentTo(2), "the pods run")
			Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(5))
			Expect(metav1.IsControlledBy(fetch(w, d.object()), w.app())).To(BeTrue())
			w.settle()
			Expect(w.conditions()).To(ConsistOf(available))
			Expect(w.reconcile()).To(BeEmpty())
		})
	}

	It("does not get it back while the app is terminating and the cache does not show that yet", func() {
		w := settled()
		w.remembered = memory{}.with(fetch(w, newUnstructuredApp()))
		Expect(api.Delete(ctx, w.app())).To(Succeed())
		for _, d := range derivedFields {
			object := w.stored(d)
			object.SetOwnerReferences(nil) // as the garbage collector leaves it after --cascade=orphan
			Expect(api.Update(ctx, object, client.FieldOwner("kube-controller-manager"))).To(Succeed())
		}
		Expect(w.reconcile()).NotTo(ContainElement(HavePrefix("Apply")))
		Expect(w.deployment().OwnerReferences).To(BeEmpty())
	})

	It("is scaled even if all other writes fail", func() {
		w := settled()
		d := w.deployment()
		d.OwnerReferences = nil
		Expect(api.Update(ctx, d, client.FieldOwner("kubectl-edit"))).To(Succeed())
		w.setReplicas(5)
		w.failAllBut(scaling)
		_, err := w.try()
		Expect(err).To(HaveOccurred())
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(5))
	})
})

var _ = Describe("An error of one owned object", func() {
	failService := func(_, kind string) error {
		if kind == "Service" {
			return apierrors.NewInternalError(errors.New(kind + " is not written"))
		}
		return nil
	}

	It("does not stop the repair of the others", func() {
		w := settled()
		Expect(api.Delete(ctx, fetch(w, &corev1.Service{}))).To(Succeed())
		Expect(api.Delete(ctx, w.budget())).To(Succeed())
		d := w.deployment()
		d.Spec.MinReadySeconds = 0
		Expect(api.Update(ctx, d, client.FieldOwner("kubectl-edit"))).To(Succeed())
		w.fail = failService
		_, err := w.try()
		Expect(err).To(MatchError(ContainSubstring("creating Service hello")))
		Expect(w.deployment().Spec.MinReadySeconds).To(BeEquivalentTo(5))
		Expect(w.budget().Name).To(Equal("hello"))
		Expect(w.conditions()).To(ContainElement("Ready=False ApplyFailed"))
	})

	It("delays new pods if the Service fails and they have other ports, because requests would have no endpoint", func() {
		w := settled()
		w.change(func(app *v1alpha1.GracefulApp) {
			c := &app.Spec.Template.Spec.Containers[0]
			c.Ports[0].Name = "web"
			for _, get := range []*corev1.HTTPGetAction{c.ReadinessProbe.HTTPGet, c.LivenessProbe.HTTPGet, c.Lifecycle.PreStop.HTTPGet} {
				get.Port = fromName("web")
			}
		})
		w.fail = failService
		_, err := w.try()
		Expect(err).To(HaveOccurred())
		Expect(w.deployment().Spec.Template.Spec.Containers[0].Ports[0].Name).To(Equal("http"))
		w.fail = nil
		w.settle()
		Expect(w.deployment().Spec.Template.Spec.Containers[0].Ports[0].Name).To(Equal("web"))
	})
})

var _ = Describe("The counts", func() {
	It("are zero while the Deployment does not exist and cannot be created", func() {
		w := settled()
		Expect(w.app().Status.ReadyReplicas).To(BeEquivalentTo(2))
		Expect(api.Delete(ctx, w.deployment(), client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		w.fail = func(_, kind string) error {
			if kind == "Deployment" {
				return apierrors.NewForbidden(schema.GroupResource{Group: appsv1.GroupName, Resource: "deployments"}, "hello", nil)
			}
			return nil
		}
		w.reconcile()
		Expect(w.conditions()).To(ContainElement("Stalled=True Rejected"))
		status := w.app().Status
		Expect([]int32{status.Replicas, status.ReadyReplicas, status.UpdatedReplicas, status.AvailableReplicas}).To(Equal([]int32{0, 0, 0, 0}))
	})
})

// writesIn returns the writes of several reconciles at the same time of the clock.
func (w *testEnv) writesIn(reconciles int) []string {
	GinkgoHelper()
	var all []string
	for range reconciles {
		_, err := w.tryNow()
		Expect(err).NotTo(HaveOccurred())
		all = append(all, w.writes...)
	}
	return all
}

var _ = Describe("The writes for one app", func() {
	It("end, and the app is Stalled, if a policy changes an applied field and annotates each write", func() {
		w := settled()
		w.mutateBy(func(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 3 }, func(d *appsv1.Deployment) bool { return d.Annotations["stamp"] != "" },
			testapp.ApplyConfiguration(`Object{
				spec: Object.spec{minReadySeconds: 1},
				metadata: Object.metadata{annotations: {"stamp": has(object.metadata.resourceVersion) ? object.metadata.resourceVersion : "first"}}
			}`))
		w.change(testapp.Image("hello:0.2.0"))
		all := w.writesIn(30)
		Expect(len(slices.DeleteFunc(all, func(write string) bool { return write != "Apply Deployment" }))).To(BeNumerically("<=", 2), "%v", all)
		Expect(w.conditions()).To(ConsistOf("Ready=False Altered", "Stalled=True Altered"))
		Expect(w.readyMessage()).To(ContainSubstring("spec.minReadySeconds is 1 instead of 5"))
	})

	It("are 12 per minute if another client reverts each of them", func() {
		w := settled()
		_, err := w.try()
		Expect(err).NotTo(HaveOccurred())
		written, told := 0, false
		d := w.deployment()
		d.Spec.MinReadySeconds = 1
		Expect(api.Update(ctx, d, client.FieldOwner("kubectl-edit"))).To(Succeed())
		for second := range 60 {
			budget := w.budget()
			before := budget.DeepCopy()
			budget.Spec.MaxUnavailable = new(intstr.FromInt32(int32(second + 2)))
			Expect(api.Patch(ctx, budget, client.MergeFrom(before), client.FieldOwner("other-controller"))).To(Succeed())
			result, err := w.tryNow()
			Expect(err).NotTo(HaveOccurred())
			written += len(w.writes)
			if len(w.writes) == 0 {
				Expect(result.RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<=", time.Minute)))
			}
			told = told || strings.Contains(w.readyMessage(), "another client changes the owned objects after each write")
			w.clock.SetTime(w.clock.Now().Add(time.Second))
		}
		Expect(written).To(And(BeNumerically(">=", 6), BeNumerically("<=", writesPerMinute)))
		Expect(w.deployment().Spec.MinReadySeconds).To(BeEquivalentTo(5), "a conflict over one object must not block the others")
		Expect(told).To(BeTrue())
		w.setReplicas(9)
		_, err = w.tryNow()
		Expect(err).NotTo(HaveOccurred())
		Expect(*w.deployment().Spec.Replicas).To(BeEquivalentTo(9), "a user's change is not counted")
		w.settle()
		Expect(w.budget().Spec.MaxUnavailable.IntValue()).To(Equal(1))
		Expect(w.conditions()).To(ConsistOf(available))
	})

	It("are none for a status that the cache does not show yet", func() {
		w := settled()
		w.setReplicas(3)
		w.reconcile()
		w.rollOut()
		late := fetch(w, newUnstructuredApp())
		Expect(w.reconcile()).To(Equal([]string{"Patch status GracefulApp"}))
		w.events.take()
		w.remembered = memory{}.with(late)
		Expect(w.writesIn(1)).To(BeEmpty())
		Expect(w.events.take()).To(BeEmpty())
		Expect(w.reconcile()).NotTo(BeEmpty(), "a minute later it is no delay: etcd was restored from a backup")
		w.forget()
		Expect(w.conditions()).To(ConsistOf(available))
	})

	// The clock does not advance, so a delayed write is never made.
	It("do not delay Ready while pods start and terminate one after another", func() {
		w := settled()
		for _, replicas := range []int32{6, 2, 6} {
			w.setReplicas(replicas)
			w.writesIn(1)
			for running := int32(0); running <= replicas; running++ {
				w.runPods(running, 1)
				w.writesIn(2)
			}
			Expect(w.conditions()).To(ContainElement(available))
		}
	})
})

// runPods writes a Deployment status with some ready and some terminating pods.
func (w *testEnv) runPods(ready, draining int32) {
	GinkgoHelper()
	d := w.deployment()
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: ready, UpdatedReplicas: ready, ReadyReplicas: ready,
		AvailableReplicas: ready, TerminatingReplicas: &draining}
	Expect(api.Status().Update(ctx, d)).To(Succeed())
}
