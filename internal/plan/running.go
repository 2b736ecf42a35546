package plan

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"k8s.io/utils/ptr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Running holds the live objects, as far as the derivation depends on them. Its zero value describes an app that has none yet.
type Running struct {
	// Deployment and Service as they are in the cluster, owned by the app or about to be adopted by it; nil if absent.
	Deployment *appsv1.Deployment
	Service    *corev1.Service
	// Autoscaler is the name of a HorizontalPodAutoscaler that targets the Deployment, or "".
	Autoscaler string
	// ForeignDisruptionBudget is the name of a PodDisruptionBudget that selects the app's pods and is not the app's own, or "".
	ForeignDisruptionBudget string
	// DrainProxy has the inputs of a drain sidecar that the live Deployment does not fix yet.
	DrainProxy DrainProxy
	// Applied computes the fields of the Deployment that the operator has applied and that no other manager has overwritten since; nil if they are
	// unknown. It takes milliseconds, so it is called only where its result matters.
	Applied func() *appsv1ac.DeploymentApplyConfiguration
}

// DrainProxy is the part of a drain sidecar that the spec does not decide. A live Deployment fixes it, so that another operator or registry restarts
// no pod.
type DrainProxy struct {
	// Image is the container image. It is empty if the operator was started without one.
	Image string
	// Token is the secret that the kubelet sends to the sidecar's hooks.
	Token string
}

// Replicas returns the number of pods that the Deployment gets: spec.replicas, 1 if that is absent. While a HorizontalPodAutoscaler targets the
// Deployment instead of the GracefulApp, it is the number that the Deployment has: two writers that disagree would create and delete pods
// in turn.
func Replicas(app *v1alpha1.GracefulApp, running Running) int32 {
	if d := running.Deployment; running.Autoscaler != "" && d != nil && d.Spec.Replicas != nil {
		return *d.Spec.Replicas
	}
	if r := app.Spec.Replicas; r != nil {
		return *r
	}
	return 1 // the CRD's default, for a file that no API server has seen
}

// servicePort returns the live Service's port of the same number and protocol, or nil.
func (r Running) servicePort(p corev1.ServicePort) *corev1.ServicePort {
	if r.Service == nil {
		return nil
	}
	i := slices.IndexFunc(r.Service.Spec.Ports, func(live corev1.ServicePort) bool { return portKey(live) == portKey(p) })
	if i < 0 {
		return nil
	}
	return &r.Service.Spec.Ports[i]
}

// targetNumber returns the container port to which a live Service port sends requests, 0 if the pods have no port of its name.
func (r Running) targetNumber(p corev1.ServicePort) int32 {
	switch {
	case p.TargetPort.Type == intstr.Int && p.TargetPort.IntVal != 0:
		return p.TargetPort.IntVal
	case p.TargetPort.Type == intstr.Int:
		return p.Port // Kubernetes' own default
	case r.Deployment == nil:
		return 0
	}
	return numberOf(portsOf(r.Deployment.Spec.Template.Spec), p.TargetPort.StrVal, p.Protocol)
}

// everyPodHas reports whether all pods that the Deployment wants are available and made from its live template, and its port of this name has
// this number.
func (r Running) everyPodHas(name string, protocol corev1.Protocol, number int32) bool {
	d := r.Deployment
	wanted := ptr.Deref(d.Spec.Replicas, 1)
	return r.isRolledOut() && d.Status.Replicas == wanted && d.Status.AvailableReplicas == wanted &&
		numberOf(portsOf(d.Spec.Template.Spec), name, protocol) == number
}

// isRolledOut reports whether all pods of the Deployment are made from its live template.
func (r Running) isRolledOut() bool {
	d := r.Deployment
	return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == d.Status.Replicas
}

// numberOf returns the number of the first port of a name and protocol, or 0. Kubernetes takes the first one too.
func numberOf(ports []corev1.ContainerPort, name string, p corev1.Protocol) int32 {
	for _, port := range ports {
		if port.Name == name && protocol(port.Protocol) == protocol(p) {
			return port.ContainerPort
		}
	}
	return 0
}

// portsOf a pod that a Service can target.
func portsOf(pod corev1.PodSpec) []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	for _, c := range pod.Containers {
		ports = append(ports, c.Ports...)
	}
	for _, c := range pod.InitContainers {
		if isNativeSidecar(c) {
			ports = append(ports, c.Ports...)
		}
	}
	return ports
}

// adopts reports whether the app is about to adopt the live object.
func (in *input) adopts(object metav1.Object) bool { return !Owns(in.app, object) }
