package plan

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/timing"
)

// The drain sidecar's container. cmd/drain-proxy reads these arguments and variables.
const (
	drainContainer    = "graceful-drain"
	drainTokenEnv     = "DRAIN_PROXY_TOKEN"
	drainAddressEnv   = "POD_IP"
	drainTokenHeader  = "Graceful-Drain-Token"
	firstProxyPort    = 18080
	drainAdminPort    = 18081
	drainMetricsPort  = 18090
	drainMetricsName  = "drain-metrics"
	drainStartSeconds = 30
)

// proxiedPort is a port of the app that the Service targets, and the sidecar's port in front of it.
type proxiedPort struct {
	name, newName  string // of the sidecar's port, and of the app's port behind it
	target, listen int32
	http2          bool
}

// drainsBySidecar reports whether the pods have a drain sidecar.
func (in *input) drainsBySidecar() bool { return drainsBySidecar(in.spec()) }

func drainsBySidecar(spec *v1alpha1.GracefulAppSpec) bool {
	return spec.Drain != nil && spec.Drain.Mode == v1alpha1.DrainModeSidecar
}

// appTiming returns the times as the app gets them: with a drain sidecar, the app has no request to finish after SIGTERM.
func (in *input) appTiming() timing.Timing {
	t := in.timing
	if in.drainsBySidecar() {
		t.ShutdownSeconds = t.ExitSeconds
	}
	return t
}

// withDrainSidecar returns the derived template, with the drain sidecar if the spec asks for it.
func (in *input) withDrainSidecar() *corev1.PodTemplateSpec {
	if !in.drainsBySidecar() {
		return in.template
	}
	template := in.template.DeepCopy()
	template.Labels = withDefaults(map[string]string{DrainLabel: in.app.Name}, template.Labels)
	ports := in.sidecarPorts()
	for i := range template.Spec.Containers {
		c := &template.Spec.Containers[i]
		path := "/drained" // a further container, such as an app server behind nginx, may be needed for the requests in flight
		if own := renamePorts(c, ports.proxied); len(own) > 0 {
			path = "/drain?" + url.Values{"port": own}.Encode() // so that a restart of this container does not wait for the ports of another
		}
		if preStopOf(in.spec().Template.Spec.Containers[i]) == nil {
			c.Lifecycle.PreStop = &corev1.LifecycleHandler{HTTPGet: in.adminCall(ports, path)}
		}
	}
	template.Spec.InitContainers = append([]corev1.Container{in.drainContainer(ports)}, template.Spec.InitContainers...)
	return template
}

// renamePorts gives the proxied ports of a container another name, and the probes that use the old name their number. It returns the numbers of these ports.
// The endpoint controller looks a name up in the containers first, so a name that stayed would bypass the sidecar. A port without a name would not do:
// server-side apply cannot keep another client from adding one.
func renamePorts(c *corev1.Container, ports []proxiedPort) (numbers []string) {
	for i := range c.Ports {
		p := &c.Ports[i]
		at := slices.IndexFunc(ports, func(q proxiedPort) bool { return q.name == p.Name })
		if at < 0 || protocol(p.Protocol) != corev1.ProtocolTCP {
			continue
		}
		for _, h := range handlersOf(*c, nil) {
			if *h.port == intstr.FromString(p.Name) {
				*h.port = intstr.FromInt32(p.ContainerPort)
			}
		}
		p.Name = ports[at].newName
		numbers = append(numbers, strconv.Itoa(int(p.ContainerPort)))
	}
	return numbers
}

// adminCall returns a call of the admin port by the kubelet.
func (in *input) adminCall(ports sidecarPorts, path string) *corev1.HTTPGetAction {
	return &corev1.HTTPGetAction{
		Path: path, Port: intstr.FromInt32(ports.admin), HTTPHeaders: []corev1.HTTPHeader{{Name: drainTokenHeader, Value: in.drainToken()}},
	}
}

// sidecarPorts are the ports of the sidecar.
type sidecarPorts struct {
	admin, metrics int32
	metricsName    string
	proxied        []proxiedPort
}

// usedPorts returns the numbers and names of the ports that the containers declare or that their probes and hooks use.
func (in *input) usedPorts() (numbers map[int32]bool, names map[string]bool) {
	numbers, names = map[int32]bool{}, map[string]bool{}
	for _, c := range slices.Concat(in.template.Spec.Containers, in.template.Spec.InitContainers) {
		for _, p := range c.Ports {
			numbers[p.ContainerPort], names[p.Name] = true, true
		}
		for _, h := range handlersOf(c, nil) {
			numbers[h.port.IntVal] = true // 0 for a name
		}
		for _, p := range namedProbes(c) {
			if p.GRPC != nil {
				numbers[p.GRPC.Port] = true
			}
		}
	}
	return numbers, names
}

// sidecarPorts chooses numbers and names that no container of the pod uses.
func (in *input) sidecarPorts() sidecarPorts {
	used, names := in.usedPorts()
	free := func(from int32) int32 {
		for used[from] {
			from++
		}
		used[from] = true
		return from
	}
	freeName := func(format string, n int32) string {
		for names[fmt.Sprintf(format, n)] {
			n++
		}
		name := fmt.Sprintf(format, n)
		names[name] = true
		return name
	}
	ports := sidecarPorts{admin: free(drainAdminPort), metrics: free(drainMetricsPort), metricsName: drainMetricsName}
	if names[drainMetricsName] {
		ports.metricsName = freeName("drain-m-%d", ports.metrics)
	}
	next := int32(firstProxyPort)
	for _, p := range in.targetedPorts() {
		p.listen = free(next)
		next = p.listen + 1
		p.newName = freeName("app-%d", p.listen)
		ports.proxied = append(ports.proxied, p)
	}
	return ports
}

// targetedPorts returns the ports of the app that the Service targets, each once, in the order of the containers.
func (in *input) targetedPorts() []proxiedPort {
	var ports []proxiedPort
	for _, s := range in.servers {
		for _, p := range s.derived.Ports {
			if protocol(p.Protocol) == corev1.ProtocolTCP && in.isTarget(p) {
				ports = append(ports, proxiedPort{name: p.Name, target: p.ContainerPort, http2: in.isHTTP2(p.Name)})
			}
		}
	}
	return ports
}

// http2Protocols are the values of a Service port's appProtocol for HTTP/2 without TLS.
var http2Protocols = []string{"kubernetes.io/h2c", "grpc"}

func (in *input) isHTTP2(name string) bool {
	return slices.ContainsFunc(in.ports, func(p corev1.ServicePort) bool {
		return p.TargetPort.StrVal == name && slices.Contains(http2Protocols, ptr.Deref(p.AppProtocol, ""))
	})
}

func (in *input) drainContainer(ports sidecarPorts) corev1.Container {
	args := []string{
		fmt.Sprintf("--admin-port=%d", ports.admin), fmt.Sprintf("--metrics-port=%d", ports.metrics), fmt.Sprintf("--request-seconds=%d", in.timing.RequestSeconds),
		fmt.Sprintf("--prestop-seconds=%d", in.timing.PreStopSeconds), fmt.Sprintf("--shutdown-seconds=%d", in.timing.ShutdownSeconds),
		fmt.Sprintf("--exit-seconds=%d", in.timing.ExitSeconds),
	}
	c := corev1.Container{
		Name: drainContainer, Image: in.drainImage(), RestartPolicy: new(corev1.ContainerRestartPolicyAlways),
		Env: []corev1.EnvVar{
			{Name: drainTokenEnv, Value: in.drainToken()},
			{Name: drainAddressEnv, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.podIP"}}},
		},
		Resources: in.drainResources(),
		// The kubelet calls it beside the app's hook. A command would need more CPU time and memory, of which a starved pod has too little.
		Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: in.adminCall(ports, "/leaving")}},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), RunAsNonRoot: new(true), RunAsUser: in.drainUser(),
			Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
	ready := corev1.ProbeHandler{HTTPGet: in.adminCall(ports, "/ready")}
	c.StartupProbe = &corev1.Probe{ProbeHandler: ready, PeriodSeconds: 1, TimeoutSeconds: 5, FailureThreshold: drainStartSeconds}
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: ready, PeriodSeconds: 5, TimeoutSeconds: 2, FailureThreshold: 3}
	for _, p := range ports.proxied {
		c.Ports = append(c.Ports, corev1.ContainerPort{Name: p.name, ContainerPort: p.listen, Protocol: corev1.ProtocolTCP})
		args = append(args, "--port="+p.String())
	}
	c.Ports = append(c.Ports, corev1.ContainerPort{Name: ports.metricsName, ContainerPort: ports.metrics, Protocol: corev1.ProtocolTCP})
	c.Args = args
	return c
}

// drainUser returns a user for a pod that runs as root. Otherwise the sidecar has the pod's user, the one that the cluster assigns (OpenShift), or its
// image's.
func (in *input) drainUser() *int64 {
	const nonroot = 65532 // as in the image
	if s := in.spec().Template.Spec.SecurityContext; s != nil && s.RunAsUser != nil && *s.RunAsUser == 0 {
		return new(int64(nonroot))
	}
	return nil
}

func (p proxiedPort) String() string {
	text := fmt.Sprintf("%d:%d", p.listen, p.target)
	if p.http2 {
		return text + "/h2c"
	}
	return text
}

// drainResources returns the written resources. Without CPU limit the sidecar is not throttled while the app is busy.
func (in *input) drainResources() corev1.ResourceRequirements {
	var r corev1.ResourceRequirements
	if s := in.spec().Drain.Sidecar; s != nil && s.Resources != nil {
		given := s.Resources.DeepCopy()
		r.Requests, r.Limits = given.Requests, given.Limits
	}
	if r.Requests == nil {
		r.Requests = corev1.ResourceList{}
	}
	for name, text := range map[corev1.ResourceName]string{corev1.ResourceCPU: "50m", corev1.ResourceMemory: "64Mi"} {
		_, requested := r.Requests[name]
		_, limited := r.Limits[name] // the API server then requests as much
		if !requested && !limited {
			r.Requests[name] = resource.MustParse(text)
		}
	}
	return r
}
