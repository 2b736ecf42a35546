// Package testapp makes the GracefulApps of the tests. Only tests import it.
package testapp

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Modifier changes an app before a test uses it.
type Modifier = func(*v1alpha1.GracefulApp)

// New returns the app hello, which every check accepts without a warning, after the given modifications.
func New(modify ...Modifier) *v1alpha1.GracefulApp {
	get := func(path string) *corev1.HTTPGetAction {
		return &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")}
	}
	app := &v1alpha1.GracefulApp{
		ObjectMeta: metav1.ObjectMeta{Name: "hello", Namespace: "default"},
		Spec: v1alpha1.GracefulAppSpec{
			Replicas: new(int32(2)),
			Timing:   v1alpha1.TimingSpec{StartupSeconds: 25, RequestSeconds: 5},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name:           "hello",
				Image:          "hello:0.1.0",
				Ports:          []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("/readyz")}},
				LivenessProbe:  &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("/livez")}},
				Lifecycle:      &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: get("/drain")}},
				Resources:      corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")}},
			}}}},
		},
	}
	for _, m := range modify {
		m(app)
	}
	return app
}

// Container returns the app's first container.
func Container(app *v1alpha1.GracefulApp) *corev1.Container {
	return &app.Spec.Template.Spec.Containers[0]
}

// Name sets the app's namespace and name.
func Name(namespace, name string) Modifier {
	return func(app *v1alpha1.GracefulApp) { app.Namespace, app.Name = namespace, name }
}

// Replicas sets spec.replicas.
func Replicas(n int32) Modifier {
	return func(app *v1alpha1.GracefulApp) { app.Spec.Replicas = &n }
}

// NoResources removes the resources of the first container.
func NoResources(app *v1alpha1.GracefulApp) {
	Container(app).Resources = corev1.ResourceRequirements{}
}

// DrainSidecar gives the app a drain sidecar, which needs no hook of the app's own.
func DrainSidecar(app *v1alpha1.GracefulApp) {
	app.Spec.Drain = &v1alpha1.DrainSpec{Mode: v1alpha1.DrainModeSidecar}
	Container(app).Lifecycle = nil
}

// Image sets the image of the first container.
func Image(image string) Modifier {
	return func(app *v1alpha1.GracefulApp) { Container(app).Image = image }
}
