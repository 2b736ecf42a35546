package fuzz

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// trial is a spec and the state of the cluster in which it is judged. Its YAML has the form of a file in testdata/found.
type trial struct {
	// Policy is the name of the admission policy of the namespace, "" for none.
	Policy string `json:"policy,omitempty"`
	// Before is the app as it is, with its objects, if the spec is an update. It breaks no rule.
	Before *v1alpha1.GracefulApp `json:"before,omitempty"`
	// Writes are those of other clients to the objects of Before.
	Writes []string `json:"writes,omitempty"`
	// App is the one that is judged.
	App *v1alpha1.GracefulApp `json:"app"`
}

// updateEvery: of the specs that the Go checks accept, each so many-th is judged as an update, which takes more requests than a create.
const updateEvery = 40

func drawTrial(r *rapid.T) trial {
	c := trial{App: app(r)}
	if rapid.IntRange(0, 3).Draw(r, "policy") == 0 {
		c.Policy = rapid.SampledFrom(slices.Sorted(maps.Keys(policiesOfSpecs))).Draw(r, "policy")
	}
	if _, errs, _ := plan.For(c.App, plan.Running{}); len(errs) == 0 && rapid.IntRange(1, updateEvery).Draw(r, "update") == updateEvery {
		c.Before = earlier(draw{r, true}, c.App)
		if p := policiesOfSpecs[c.Policy]; p.denies != nil && p.denies(c.Before) {
			c.Before.Spec.Service = nil
		}
		c.Writes = rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(foreignWrites))), 1, 4, rapid.ID).Draw(r, "writes")
	}
	return c
}

// earlier draws an app that is accepted and of which the other one may be an update: the selector cannot change.
func earlier(t draw, updated *v1alpha1.GracefulApp) *v1alpha1.GracefulApp {
	c := corev1.Container{
		Name: "c0", Image: "hello:0", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "admin", ContainerPort: 8081}},
		Env: []corev1.EnvVar{{Name: "A", Value: "0"}},
	}
	if rapid.Bool().Draw(t.T, "hook before") {
		c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/drain", Port: intstr.FromString("admin")}}}
	}
	a := &v1alpha1.GracefulApp{
		ObjectMeta: metav1.ObjectMeta{Name: updated.Name},
		Spec: v1alpha1.GracefulAppSpec{
			Replicas: new(rapid.Int32Range(0, 3).Draw(t.T, "replicas before")), Timing: v1alpha1.TimingSpec{StartupSeconds: 5, RequestSeconds: 5},
			Selector: updated.Spec.Selector.DeepCopy(),
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "hello"}}, Spec: corev1.PodSpec{
				Containers: []corev1.Container{c},
			}},
		},
	}
	if rapid.Bool().Draw(t.T, "second container before") {
		proxy := corev1.Container{Name: "c1", Image: "proxy:0", Ports: []corev1.ContainerPort{{Name: "proxy", ContainerPort: 8090}}}
		a.Spec.Template.Spec.Containers = append(a.Spec.Template.Spec.Containers, proxy)
	}
	if rapid.Bool().Draw(t.T, "service before") {
		a.Spec.Service = &v1alpha1.ServiceTemplate{Spec: earlierService(t)}
	}
	return a
}

func earlierService(t draw) corev1.ServiceSpec {
	s := corev1.ServiceSpec{Type: rapid.SampledFrom([]corev1.ServiceType{
		corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer,
	}).Draw(t.T, "type before")}
	if s.Type == corev1.ServiceTypeClusterIP && rapid.Bool().Draw(t.T, "headless before") {
		s.ClusterIP = corev1.ClusterIPNone
	}
	for i, target := range []string{"http", "admin"}[:rapid.IntRange(0, 2).Draw(t.T, "Service ports before")] {
		s.Ports = append(s.Ports, corev1.ServicePort{Name: target, Port: 80 + int32(i), TargetPort: intstr.FromString(target)})
	}
	return s
}
