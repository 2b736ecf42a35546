package fuzz

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// specPolicy is an admission policy of the cluster in which specs are judged.
type specPolicy struct {
	resource string
	// patches is a CEL expression of the JSON patches that it makes.
	patches string
	// unless is a CEL expression that is true for the objects that the policy admits, if it makes no patches; reason is that of its denials.
	unless string
	reason *metav1.StatusReason
	// denies reports whether the policy denies the objects that are derived from the app; nil if it denies nothing.
	denies func(*v1alpha1.GracefulApp) bool
	// warning is in the warnings about each app.
	warning string
}

// policiesOfSpecs are by name, which is that of their namespace too.
var policiesOfSpecs = map[string]specPolicy{
	"denies-host-ports": {
		resource: "pods",
		unless: "!(has(object.spec.hostNetwork) && object.spec.hostNetwork) && " +
			"object.spec.containers.all(c, !has(c.ports) || c.ports.all(p, !has(p.hostPort) || p.hostPort == 0))",
		denies: usesHostPort,
	},
	"denies-exposed-services": {
		resource: "services",
		unless:   "object.spec.type == 'ClusterIP'",
		reason:   new(metav1.StatusReasonForbidden),
		denies: func(a *v1alpha1.GracefulApp) bool {
			return a.Spec.Service != nil && a.Spec.Service.Spec.Type != "" && a.Spec.Service.Spec.Type != corev1.ServiceTypeClusterIP
		},
	},
	"denies-host-network": {
		resource: "deployments",
		unless:   "!(has(object.spec.template.spec.hostNetwork) && object.spec.template.spec.hostNetwork)",
		reason:   new(metav1.StatusReasonRequestEntityTooLarge),
		denies:   func(a *v1alpha1.GracefulApp) bool { return a.Spec.Template.Spec.HostNetwork },
	},
	"injects-into-pods": {
		resource: "pods",
		patches:  `[JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{name: "injected", image: "proxy:1"}}]`,
		warning:  `container "injected" is injected into the pods and has no preStop hook`,
	},
	"injects-sidecars-into-pods": {
		resource: "pods",
		patches: `has(object.spec.initContainers)
			? [JSONPatch{op: "add", path: "/spec/initContainers/-", value: {"name": "injected", "image": "proxy:1", "restartPolicy": "Always"}}]
			: [JSONPatch{op: "add", path: "/spec/initContainers", value: [{"name": "injected", "image": "proxy:1", "restartPolicy": "Always"}]}]`,
	},
	"injects-into-deployments": {
		resource: "deployments",
		patches: `object.spec.template.spec.containers.exists(c, c.name == "injected") ? [] :
			[JSONPatch{op: "add", path: "/spec/template/spec/containers/-", value: Object.spec.template.spec.containers{name: "injected", image: "proxy:1"}}]`,
	},
	"labels-pods": {
		resource: "pods",
		patches:  `[JSONPatch{op: "add", path: "/metadata/labels/injected", value: "true"}]`,
	},
	"labels-deployments": {
		resource: "deployments",
		patches: `[JSONPatch{op: "add", path: "/metadata/labels/injected", value: "true"},
			JSONPatch{op: "add", path: "/spec/template/metadata/labels/injected", value: "true"}]`,
	},
}

func usesHostPort(a *v1alpha1.GracefulApp) bool {
	pod := a.Spec.Template.Spec
	return pod.HostNetwork || slices.ContainsFunc(pod.Containers, func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.HostPort != 0 })
	})
}
