package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// serviceChange is a field of the Service that decides which requests arrive, and where.
type serviceChange struct {
	field    string
	from, to any
	// written: the user wrote the field in the GracefulApp, or the one on which it depends.
	written bool
	// fixed: the API server refuses the change.
	fixed bool
}

func (c serviceChange) String() string {
	text := fmt.Sprintf("%s from %s to %s", c.field, compactJSON(c.from), compactJSON(c.to))
	if c.fixed {
		text += " (it cannot change)"
	}
	return text
}

// servingField is a field of a Service's spec that serviceChanges compares.
type servingField struct {
	name  string
	value func(corev1.ServiceSpec) any
	// kept by the API server, if it is left out.
	kept bool
	// of is the field on which it depends: a user who changes that one changes both, for some values may not be written beside it.
	of string
	// isFixed reports whether the API server refuses the change; nil: never.
	isFixed func(before, after corev1.ServiceSpec) bool
}

// servingFields of a Service's spec, in the order of their importance. The API server keeps the families, node ports and health check port
// of a Service that leaves them out (pkg/registry/core/service/storage, patchAllocatedValues and initIPFamilyFields), so they are compared
// only if they are written. Ports and targets have checks of their own.
var servingFields = []servingField{
	{name: "type", value: func(s corev1.ServiceSpec) any { return cmp.Or(s.Type, corev1.ServiceTypeClusterIP) }},
	{name: "clusterIP", value: func(s corev1.ServiceSpec) any { return s.ClusterIP },
		isFixed: func(before, _ corev1.ServiceSpec) bool { return before.ClusterIP != "" }},
	{name: "sessionAffinity", value: func(s corev1.ServiceSpec) any { return cmp.Or(s.SessionAffinity, corev1.ServiceAffinityNone) }},
	{name: "sessionAffinityConfig", value: affinitySeconds, of: "sessionAffinity"},
	{name: "externalTrafficPolicy", of: "type", value: func(s corev1.ServiceSpec) any {
		return cmp.Or(s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}},
	{name: "internalTrafficPolicy", value: func(s corev1.ServiceSpec) any {
		return ptr.Deref(s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	}},
	{name: "trafficDistribution", value: func(s corev1.ServiceSpec) any { return ptr.Deref(s.TrafficDistribution, "") }},
	{name: "loadBalancerClass", of: "type", value: func(s corev1.ServiceSpec) any { return ptr.Deref(s.LoadBalancerClass, "") }, isFixed: isLoadBalancer},
	{name: "loadBalancerIP", of: "type", value: func(s corev1.ServiceSpec) any { return s.LoadBalancerIP }},
	{name: "loadBalancerSourceRanges", of: "type", value: func(s corev1.ServiceSpec) any { return append([]string{}, s.LoadBalancerSourceRanges...) }},
	{name: "allocateLoadBalancerNodePorts", of: "type", value: func(s corev1.ServiceSpec) any { return ptr.Deref(s.AllocateLoadBalancerNodePorts, true) }},
	{name: "healthCheckNodePort", of: "type", value: func(s corev1.ServiceSpec) any { return s.HealthCheckNodePort }, kept: true, isFixed: isLoadBalancer},
	{name: "ipFamilyPolicy", value: func(s corev1.ServiceSpec) any { return ptr.Deref(s.IPFamilyPolicy, "") }, kept: true},
	{name: "ipFamilies", value: func(s corev1.ServiceSpec) any { return append([]corev1.IPFamily{}, s.IPFamilies...) }, kept: true,
		isFixed: func(before, after corev1.ServiceSpec) bool {
			return len(before.IPFamilies) > 0 && len(after.IPFamilies) > 0 && before.IPFamilies[0] != after.IPFamilies[0]
		}},
}

// isLoadBalancer reports whether the Service is of this type and stays so.
func isLoadBalancer(before, after corev1.ServiceSpec) bool {
	return before.Type == corev1.ServiceTypeLoadBalancer && after.Type == corev1.ServiceTypeLoadBalancer
}

// defaultAffinitySeconds is Kubernetes' own (core/v1, DefaultClientIPServiceAffinitySeconds).
const defaultAffinitySeconds = 10_800

func affinitySeconds(s corev1.ServiceSpec) any {
	if s.SessionAffinity != corev1.ServiceAffinityClientIP {
		return int32(0)
	}
	if c := s.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		return *c.ClientIP.TimeoutSeconds
	}
	return int32(defaultAffinitySeconds)
}

// serviceChanges returns the serving fields of another spec, a live Service's or that of an earlier GracefulApp, that the app changes.
func (in *input) serviceChanges(before corev1.ServiceSpec) []serviceChange {
	before, after, given := in.withAddress(before), in.withAddress(in.serviceSpec()), in.writtenServiceFields()
	var changes []serviceChange
	onPurpose := map[string]bool{}
	for _, f := range servingFields {
		from, to := f.value(before), f.value(after)
		_, written := given[f.name]
		if f.kept && !written || apiequality.Semantic.DeepEqual(from, to) {
			continue
		}
		onPurpose[f.name] = written || onPurpose[f.of]
		changes = append(changes, serviceChange{
			field: f.name, from: from, to: to, written: onPurpose[f.name], fixed: f.isFixed != nil && f.isFixed(before, after),
		})
	}
	if from, to := servedPorts(before.Ports, after.Ports), servedPorts(after.Ports, after.Ports); !apiequality.Semantic.DeepEqual(from, to) {
		_, written := given["ports"]
		changes = append(changes, serviceChange{field: "ports", from: from, to: to, written: written})
	}
	return changes
}

// withAddress completes a spec that leaves the cluster address out: the API server keeps the address that the Service has. Only a headless
// Service must be written.
func (in *input) withAddress(spec corev1.ServiceSpec) corev1.ServiceSpec {
	if live := in.running.Service; spec.ClusterIP == "" && live != nil && live.Spec.ClusterIP != corev1.ClusterIPNone {
		spec.ClusterIP = live.Spec.ClusterIP
	}
	return spec
}

// writtenServiceFields returns the fields of spec.service.spec that the user wrote, by their names in JSON; also those that have the default's
// value.
func (in *input) writtenServiceFields() map[string]any {
	fields := map[string]any{}
	if s := in.spec().Service; s != nil {
		// It cannot fail: the spec was read from JSON.
		_ = Convert(s.Spec, &fields)
	}
	return fields
}

// servedPorts of a Service as its clients see them, sorted. A node port counts if the app writes one for this port; else it is kept.
func servedPorts(ports, asWritten []corev1.ServicePort) []corev1.ServicePort {
	served := []corev1.ServicePort{}
	for _, p := range ports {
		p.Protocol, p.TargetPort = protocol(p.Protocol), intstr.IntOrString{}
		fixed := slices.ContainsFunc(asWritten, func(w corev1.ServicePort) bool { return portKey(w) == portKey(p) && w.NodePort != 0 })
		if !fixed {
			p.NodePort = 0
		}
		served = append(served, p)
	}
	slices.SortFunc(served, func(a, b corev1.ServicePort) int { return strings.Compare(portKey(a), portKey(b)) })
	return served
}

// serviceAsItIs returns the value of spec.service that keeps the live Service, as JSON, which is YAML too.
func (in *input) serviceAsItIs() string {
	live := in.running.Service.Spec
	spec := corev1.ServiceSpec{}
	if live.Type != corev1.ServiceTypeClusterIP && live.Type != corev1.ServiceTypeExternalName {
		spec.Type = live.Type
	}
	if live.ClusterIP == corev1.ClusterIPNone {
		spec.ClusterIP = live.ClusterIP
	}
	if live.SessionAffinity != corev1.ServiceAffinityNone {
		spec.SessionAffinity, spec.SessionAffinityConfig = live.SessionAffinity, live.SessionAffinityConfig
	}
	if live.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyCluster {
		spec.ExternalTrafficPolicy = live.ExternalTrafficPolicy
	}
	if p := live.InternalTrafficPolicy; p != nil && *p != corev1.ServiceInternalTrafficPolicyCluster {
		spec.InternalTrafficPolicy = p
	}
	if p := live.AllocateLoadBalancerNodePorts; p != nil && !*p {
		spec.AllocateLoadBalancerNodePorts = p
	}
	spec.TrafficDistribution, spec.LoadBalancerClass = live.TrafficDistribution, live.LoadBalancerClass
	spec.LoadBalancerIP, spec.LoadBalancerSourceRanges = live.LoadBalancerIP, live.LoadBalancerSourceRanges
	spec.Ports = in.portsAsTheyAre()
	return compactJSON(map[string]any{"spec": spec})
}

// portsAsTheyAre have the numbers of the container ports as targets: the name of one may be another in the new template.
func (in *input) portsAsTheyAre() []corev1.ServicePort {
	var ports []corev1.ServicePort
	for _, p := range in.running.Service.Spec.Ports {
		if number := in.running.targetNumber(p); number != 0 {
			p.TargetPort = intstr.FromInt32(number)
		}
		if p.Protocol == corev1.ProtocolTCP {
			p.Protocol = ""
		}
		p.NodePort = 0
		ports = append(ports, p)
	}
	return ports
}

// compactJSON of a value without the empty objects and targets that the types of Kubernetes write.
func compactJSON(value any) string {
	var tree any
	if err := Convert(value, &tree); err != nil {
		return fmt.Sprint(value)
	}
	data, err := json.Marshal(withoutUnset(tree))
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}

func withoutUnset(tree any) any {
	switch t := tree.(type) {
	case []any:
		for i := range t {
			t[i] = withoutUnset(t[i])
		}
	case map[string]any:
		for key, value := range t {
			if m, ok := value.(map[string]any); ok && len(m) == 0 || key == "targetPort" && value == float64(0) {
				delete(t, key)
				continue
			}
			t[key] = withoutUnset(value)
		}
	}
	return tree
}

// AutoscalerMessage tells the user how to hand over an autoscaler that targets the Deployment.
func AutoscalerMessage(app *v1alpha1.GracefulApp, running Running) string {
	return fmt.Sprintf("HorizontalPodAutoscaler %s targets Deployment %s, so the GracefulApp keeps the Deployment's replicas (%d) and ignores "+
		"spec.replicas; to hand over, run kubectl scale gracefulapp/%s --replicas=%d, then set the autoscaler's scaleTargetRef to apiVersion %s, "+
		"kind GracefulApp, name %s", running.Autoscaler, app.Name, Replicas(app, running), app.Name, Replicas(app, running),
		v1alpha1.GroupVersion, app.Name)
}
