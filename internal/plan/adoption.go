package plan

import (
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Adoption compares the app with the live objects that it is about to adopt. They serve requests already, so the GracefulApp must set each
// field that would otherwise change for the clients of the Service.

// Adopts reports whether the app's owner wants it to take over objects of its name that have no controller.
func Adopts(app *v1alpha1.GracefulApp) bool {
	return app.Annotations[v1alpha1.AnnotationAdopt] == "true"
}

// checkAdoptedSelector: a Deployment's selector cannot change, and a Service with another one would send requests to other pods.
func checkAdoptedSelector(in *input) field.ErrorList {
	var errs field.ErrorList
	wanted := in.selectorLabels()
	if d := in.running.Deployment; d != nil && in.adopts(d) {
		if s := d.Spec.Selector; s == nil || len(s.MatchExpressions) > 0 {
			errs = append(errs, field.Forbidden(specPath.Child("selector"), fmt.Sprintf(
				"the selector of Deployment %s has matchExpressions (%s) and cannot change; a Service selects by labels only, so it cannot be adopted: "+
					"give the GracefulApp another name", d.Name, metav1.FormatLabelSelector(s))))
		} else if !maps.Equal(s.MatchLabels, wanted) {
			errs = append(errs, field.Forbidden(specPath.Child("selector"), fmt.Sprintf(
				"the selector of Deployment %s is %s, which cannot change; to adopt it, create the GracefulApp with these labels as "+
					"spec.selector.matchLabels", d.Name, metav1.FormatLabelSelector(s))))
		}
	}
	if s := in.running.Service; s != nil && in.adopts(s) && !maps.Equal(s.Spec.Selector, wanted) {
		errs = append(errs, field.Forbidden(specPath.Child("selector"), fmt.Sprintf(
			"the selector of Service %s is %s, and the GracefulApp's is %s; give the Service this selector first, then adopt it",
			s.Name, labelsText(s.Spec.Selector), labelsText(wanted))))
	}
	return errs
}

func labelsText(labels map[string]string) string {
	return metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: labels})
}

// checkAdoptedReplicas: an adoption must not scale the Deployment. An autoscaler's number needs no such check, because the app keeps it.
func checkAdoptedReplicas(in *input) field.ErrorList {
	d := in.running.Deployment
	if d == nil || !in.adopts(d) || d.Spec.Replicas == nil || in.replicas() == *d.Spec.Replicas {
		return nil
	}
	return invalid(specPath.Child("replicas"), in.replicas(), "Deployment %s has %d replicas; adopt it with replicas: %d, and scale it afterwards",
		d.Name, *d.Spec.Replicas, *d.Spec.Replicas)
}

// checkAdoptedPorts: until the rollout has given every pod the named port, the Service targets its number, so old and new pods must share it.
func checkAdoptedPorts(in *input) field.ErrorList {
	s := in.running.Service
	if s == nil || !in.adopts(s) {
		return nil
	}
	var errs field.ErrorList
	for _, p := range in.ports {
		live := in.running.servicePort(p)
		if live == nil {
			continue
		}
		if problem := in.nameConflict(p, *live); problem != "" {
			errs = append(errs, invalid(in.portsPath(p), p.TargetPort.StrVal, "port %d of Service %s targets the container port "+
				"%q, and %s", p.Port, s.Name, live.TargetPort.StrVal, problem)...)
		}
		if live.TargetPort == p.TargetPort && in.running.liveDrainContainer() != nil {
			continue // the name is that of the sidecar's port in the old pods, and may be that of the app's port in the new ones
		}
		old, updated := in.running.targetNumber(*live), in.portNumber(p)
		if old != 0 && updated != 0 && old != updated {
			errs = append(errs, invalid(in.portsPath(p), updated,
				"port %d of Service %s sends requests to container port %d, and the template's port %s is %d; keep %d until the rollout after the "+
					"adoption has finished, and change it afterwards", p.Port, s.Name, old, p.TargetPort.StrVal, updated, old)...)
		}
	}
	return errs
}

// nameConflict says why the Service cannot target a number until the rollout has given the pods the port's new name; "" if it can. The number
// comes from the Deployment's template, and pods that another template made may have another one under the same name.
func (in *input) nameConflict(p, live corev1.ServicePort) string {
	switch name := live.TargetPort.StrVal; {
	case name == "" || p.TargetPort.StrVal == "" || name == p.TargetPort.StrVal:
		return ""
	case in.running.Deployment == nil:
		return fmt.Sprintf("no Deployment %s shows its number; keep the name %q", in.app.Name, name)
	case !in.running.isRolledOut():
		return fmt.Sprintf("a rollout of Deployment %s is in progress, so its pods may have different numbers for it; wait until it has finished, or keep "+
			"the name %q", in.app.Name, name)
	}
	return ""
}

// checkAdoptedSettings: a live Service may have settings that a GracefulApp does not allow, and an adoption would remove them.
func checkAdoptedSettings(in *input) field.ErrorList {
	s := in.running.Service
	if s == nil || !in.adopts(s) {
		return nil
	}
	var errs field.ErrorList
	for _, unsupported := range []struct {
		name string
		set  bool
	}{
		{name: "externalIPs", set: len(s.Spec.ExternalIPs) > 0},
		{name: "publishNotReadyAddresses", set: s.Spec.PublishNotReadyAddresses},
		{name: "type ExternalName", set: s.Spec.Type == corev1.ServiceTypeExternalName},
	} {
		if unsupported.set {
			errs = append(errs, field.Forbidden(specPath.Child("service"), fmt.Sprintf(
				"Service %s has %s, which a GracefulApp does not support; remove it from the Service first, then adopt it", s.Name, unsupported.name)))
		}
	}
	return errs
}

// checkAdoptedService refuses changes for the clients of the Service: all of them while paused, else those that the user did not write.
func checkAdoptedService(in *input) field.ErrorList {
	var changes []string
	for _, c := range in.adoptionChanges() {
		if in.paused() || !c.written || c.fixed {
			changes = append(changes, c.String())
		}
	}
	if len(changes) == 0 {
		return nil
	}
	then := ""
	if in.paused() {
		then = "; change it when spec.paused is false"
	}
	return field.ErrorList{field.Forbidden(specPath.Child("service"), fmt.Sprintf(
		"adopting Service %s would change it: %s; to keep it as it is, write service: %s%s",
		in.running.Service.Name, strings.Join(changes, ", "), in.serviceAsItIs(), then))}
}

// warnAdoptedService names the fields that the user changes on purpose.
func warnAdoptedService(in *input) []string {
	if in.paused() {
		return nil
	}
	var changes []string
	for _, c := range in.adoptionChanges() {
		if c.written && !c.fixed {
			changes = append(changes, c.String())
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("adopting Service %s changes it at once, and its clients may lose requests: %s", in.running.Service.Name,
		strings.Join(changes, ", "))}
}

// warnAutoscaler names the autoscaler that has the wrong target.
func warnAutoscaler(in *input) []string {
	if in.running.Autoscaler == "" || in.running.Deployment == nil {
		return nil
	}
	return []string{AutoscalerMessage(in.app, in.running)}
}

func (in *input) adoptionChanges() []serviceChange {
	if s := in.running.Service; s != nil && in.adopts(s) {
		return in.serviceChanges(s.Spec)
	}
	return nil
}

func (in *input) paused() bool { return in.spec().Paused != nil && *in.spec().Paused }
