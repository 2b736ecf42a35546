// Package fuzz validates random specs by the Go checks, by the CRD's schema and CEL in a real API server, and by the API server's own
// admission of the derived objects. The three must never disagree, and every accepted spec must be deployable. It also runs the reconciler
// while clients change one app in random sequences of operations.
package fuzz

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// draw is a source of specs. A calm draw seldom returns an invalid value, so that many specs are accepted and the others are refused for
// one reason. A draw that is not calm returns bounds and unusual values.
type draw struct {
	*rapid.T
	calm bool
}

// app draws a GracefulApp.
func app(r *rapid.T) *v1alpha1.GracefulApp {
	t := draw{r, rapid.IntRange(0, 9).Draw(r, "calm") > 2}
	a := &v1alpha1.GracefulApp{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: seldom(t, "name", "hello", "hello.world", "1hello", "h-1")},
		Spec: v1alpha1.GracefulAppSpec{
			Replicas: maybe(t, "replicas", rapid.SampledFrom([]int32{0, 1, 2, 3, 100})),
			Timing:   timing(t),
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "hello"}}},
			Paused:   maybe(t, "paused", rapid.Bool()),
		},
	}
	if rapid.IntRange(0, 3).Draw(t.T, "selector") == 0 {
		a.Spec.Selector = &v1alpha1.Selector{MatchLabels: map[string]string{"app": seldom(t, "label", "hello", "other", "bad value")}}
	}
	if rapid.IntRange(0, 3).Draw(t.T, "common metadata") == 0 {
		a.Spec.CommonMetadata = v1alpha1.CommonMetadata{
			Labels: map[string]string{
				seldom(t, "common label", "team", "app.kubernetes.io/managed-by", "apps.gracefulapp.dev/name", "bad key"): seldom(t, "team", "shop", "", "bad value"),
			},
			Annotations: map[string]string{
				seldom(t, "common annotation", "owner", "apps.gracefulapp.dev/derivation", "deployment.kubernetes.io/revision", "bad key"): "the shop",
			},
		}
	}
	strategy(t, &a.Spec)
	pod(t, &a.Spec.Template.Spec)
	if rapid.Bool().Draw(t.T, "service") {
		a.Spec.Service = &v1alpha1.ServiceTemplate{Spec: service(t, a.Spec.Template.Spec)}
	}
	return a
}

// strategy draws values that Kubernetes accepts, and values around their bounds.
func strategy(t draw, s *v1alpha1.GracefulAppSpec) {
	s.Strategy.Type = seldomOf(t, "strategy", appsv1.DeploymentStrategyType(""), "RollingUpdate", "Recreate", "Other")
	count := func(label string) *intstr.IntOrString {
		if rapid.Bool().Draw(t.T, label+" left out") {
			return nil
		}
		usual := rapid.SampledFrom([]string{"1", "2", "25%", "100%", "0", "0%"}).Draw(t.T, label)
		return new(intstr.Parse(seldom(t, label, usual, "-1", "101%", "200%", "10000%", "1000000", "1000001", "05%", "2.5%", "many", "", "%")))
	}
	s.Strategy.RollingUpdate = v1alpha1.RollingUpdate{MaxSurge: count("maxSurge"), MaxUnavailable: count("maxUnavailable")}
	if rapid.IntRange(0, 3).Draw(t.T, "progress deadline") == 0 {
		// Around the shortest startup budget with the derived minReadySeconds, 11 + 5, and above most.
		s.ProgressDeadlineSeconds = new(seldomInt(t, "progress deadline", rapid.SampledFrom([]int32{600, 3600}).Draw(t.T, "usual deadline"),
			-1, 0, 1, 15, 16, 17, 2_147_483_647))
	}
	if t.odd("minReadySeconds", 20) {
		s.MinReadySeconds = new(rapid.SampledFrom([]int32{-1, 0, 5}).Draw(t.T, "minReadySeconds"))
	}
}

// timing draws boundary triples first: t3 just below, at and above t1 + t2.
func timing(t draw) v1alpha1.TimingSpec {
	seconds := func(label string) int32 {
		if t.odd(label, 6) {
			return rapid.SampledFrom([]int32{-1, 0, 1, 2, 4, 5, 6, 29, 30, 31, 599, 601, 86_399, 86_400, 86_401, 259_200, 2_147_483_647}).Draw(t.T, label)
		}
		return rapid.Int32Range(1, 120).Draw(t.T, label)
	}
	given := func(label string) *int32 {
		if rapid.Bool().Draw(t.T, label+" given") {
			return new(seconds(label))
		}
		return nil
	}
	s := v1alpha1.TimingSpec{
		StartupSeconds: seconds("S"), RequestSeconds: seconds("R"), ShutdownSeconds: given("t1"), PreStopSeconds: given("t2"),
	}
	if t.calm && s.ShutdownSeconds != nil {
		*s.ShutdownSeconds = min(s.RequestSeconds, 86_000) + rapid.Int32Range(0, 30).Draw(t.T, "t1 - R")
	}
	kind := rapid.IntRange(0, 3).Draw(t.T, "t3")
	if t.calm {
		kind = min(kind, 2)
	}
	switch kind {
	case 0, 1: // left out
	case 2:
		t1, t2 := int64(s.RequestSeconds)+5, int64(5)
		if s.ShutdownSeconds != nil {
			t1 = int64(*s.ShutdownSeconds)
		}
		if s.PreStopSeconds != nil {
			t2 = int64(*s.PreStopSeconds)
		}
		least := int64(-1)
		if t.calm {
			least = 1
		}
		t3 := t1 + t2 + rapid.Int64Range(least, 2).Draw(t.T, "t3 - t1 - t2")
		s.TerminationGracePeriodSeconds = new(int32(max(-1, min(t3, 2_147_483_647))))
	default:
		s.TerminationGracePeriodSeconds = new(seconds("t3"))
	}
	return s
}

func pod(t draw, p *corev1.PodSpec) {
	for i := range 1 + rapid.IntRange(0, 3).Draw(t.T, "more containers")/3 {
		p.Containers = append(p.Containers, container(t, fmt.Sprintf("c%d", i)))
	}
	for i := range p.Containers[1:] {
		if c := &p.Containers[1+i]; len(c.Ports) > 0 && !t.odd("equal port names", 3) {
			c.Ports = c.Ports[:1]
			c.Ports[0].Name, c.Ports[0].ContainerPort = "proxy", 8090
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(t.T, "sidecars") / 2 {
		c := corev1.Container{Name: fmt.Sprintf("s%d", i), Image: "sidecar:1"}
		if rapid.Bool().Draw(t.T, "native") {
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
			c.Lifecycle = lifecycle(t, "s")
			c.Ports = []corev1.ContainerPort{{Name: fmt.Sprintf("sidecar%d", i), ContainerPort: 4180 + int32(i)}}
			c.StartupProbe, c.LivenessProbe = probe(t, "sidecar startup"), probe(t, "sidecar liveness")
		}
		if t.odd("restart policy of an init container", 4) {
			c.RestartPolicy, c.RestartPolicyRules = restart(t)
		}
		p.InitContainers = append(p.InitContainers, c)
	}
	placement(t, p)
	if t.odd("field of the pod", 2) {
		rapid.SampledFrom(podFields).Draw(t.T, "field of the pod")(t, p)
	}
}

// podFields set fields that the operator owns, that only the API server checks, or that are harmless.
var podFields = []func(t draw, p *corev1.PodSpec){
	func(_ draw, p *corev1.PodSpec) { p.TerminationGracePeriodSeconds = new(int64(30)) },
	func(t draw, p *corev1.PodSpec) {
		p.RestartPolicy = rapid.SampledFrom([]corev1.RestartPolicy{"Always", "Never", "Sometimes"}).Draw(t.T, "restart policy")
	},
	func(_ draw, p *corev1.PodSpec) { p.NodeName = "node-1" },
	func(_ draw, p *corev1.PodSpec) {
		p.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
	},
	func(_ draw, p *corev1.PodSpec) { p.ActiveDeadlineSeconds = new(int64(60)) },
	func(t draw, p *corev1.PodSpec) {
		p.PriorityClassName = rapid.SampledFrom([]string{"system-cluster-critical", "no-such-class", "Bad Name"}).Draw(t.T, "priority class")
	},
	func(_ draw, p *corev1.PodSpec) { p.HostNetwork = true },
	func(t draw, p *corev1.PodSpec) {
		if c := &p.Containers[0]; len(c.Ports) > 0 {
			c.Ports[0].HostPort = rapid.SampledFrom([]int32{8080, 65_536, -1}).Draw(t.T, "host port")
		}
	},
	func(t draw, p *corev1.PodSpec) {
		p.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey:   rapid.SampledFrom([]string{corev1.LabelHostname, corev1.LabelTopologyZone, ""}).Draw(t.T, "topology key"),
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "hello"}},
		}}}}
	},
	func(t draw, p *corev1.PodSpec) {
		p.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
			ClaimName: rapid.SampledFrom([]string{"data", "Bad_Name"}).Draw(t.T, "claim"),
		}}}}
	},
	func(_ draw, p *corev1.PodSpec) { p.ServiceAccountName = "nobody" },
	func(t draw, p *corev1.PodSpec) {
		p.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: rapid.Int32Range(0, 2).Draw(t.T, "skew"), TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule,
		}}
	},
	func(_ draw, p *corev1.PodSpec) {
		p.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/ready"}}
	},
	func(t draw, p *corev1.PodSpec) {
		p.Volumes = []corev1.Volume{{Name: "unused"}, {Name: seldom(t, "volume", "other", "unused")}}
	},
	func(_ draw, p *corev1.PodSpec) { p.Hostname = "UPPER" },
	func(_ draw, p *corev1.PodSpec) { p.OS = &corev1.PodOS{Name: corev1.Linux} },
}

func container(t draw, name string) corev1.Container {
	c := corev1.Container{
		Name: seldom(t, "container name", name, "c0", "Bad_Name"), Image: seldom(t, "image", "hello:1", "", " hello"),
		Lifecycle: lifecycle(t, name),
	}
	names := []string{"http", "", "admin", "http", "Bad Port", "a-name-that-is-too-long"}
	least := 0
	if t.calm {
		least = 1
	}
	for i := range rapid.IntRange(least, 5).Draw(t.T, "ports") {
		c.Ports = append(c.Ports, corev1.ContainerPort{
			Name:          names[min(i, 2)],
			ContainerPort: seldomInt(t, "container port", 8080+int32(i), 0, 65_535, 65_536),
			Protocol:      seldomOf(t, "protocol", "", corev1.ProtocolTCP, corev1.ProtocolUDP, "tcp"),
		})
		if t.odd("port name", 16) {
			c.Ports[i].Name = rapid.SampledFrom(names).Draw(t.T, "port name")
		}
		if i == 2 {
			break
		}
	}
	c.StartupProbe, c.ReadinessProbe, c.LivenessProbe = probe(t, "startup"), probe(t, "readiness"), probe(t, "liveness")
	for _, e := range []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "GRACEFUL_SHUTDOWN_SEC", Value: "10"}, {Name: "B=", Value: "2"}} {
		if t.odd("variable", 10) {
			c.Env = append(c.Env, e)
		}
	}
	if rapid.IntRange(0, 4).Draw(t.T, "resources") == 0 {
		c.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(seldom(t, "cpu", "100m", "0.5", "-1", "1e3"))}
		c.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(seldom(t, "limit", "2000", "1m"))}
	}
	if t.odd("restart policy", 10) {
		c.RestartPolicy, c.RestartPolicyRules = restart(t)
	}
	return c
}

// restart draws the restart policy of a container, with a rule or without.
func restart(t draw) (*corev1.ContainerRestartPolicy, []corev1.ContainerRestartRule) {
	policy := rapid.SampledFrom([]corev1.ContainerRestartPolicy{
		corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyOnFailure, corev1.ContainerRestartPolicyNever, "Sometimes", "",
	}).Draw(t.T, "container restart policy")
	if rapid.Bool().Draw(t.T, "restart rule left out") {
		return &policy, nil
	}
	rule := corev1.ContainerRestartRule{
		Action: seldomOf(t, "restart action", corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers, "Stop"),
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{
			Operator: seldomOf(t, "exit codes", corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn, "Is"),
			Values:   []int32{seldomInt(t, "exit code", 42, -1, 0, 256)},
		},
	}
	return maybe(t, "policy beside a rule", rapid.Just(policy)), []corev1.ContainerRestartRule{rule}
}

func probe(t draw, label string) *corev1.Probe {
	if rapid.Bool().Draw(t.T, label+" left out") {
		return nil
	}
	number := func(name string) int32 {
		if !t.odd(label+name, 4) {
			return 0
		}
		return seldomInt(t, label+name+" seconds", rapid.Int32Range(1, 60).Draw(t.T, label+name+" usual"), -1, 86_400, 86_401, 2_147_483_647)
	}
	p := &corev1.Probe{
		InitialDelaySeconds: number("delay"), PeriodSeconds: number("period"), TimeoutSeconds: number("timeout"),
		FailureThreshold: number("threshold"), SuccessThreshold: seldomInt(t, label+" success", 0, 1, 2),
	}
	if t.odd(label+" grace", 30) {
		p.TerminationGracePeriodSeconds = new(int64(5))
	}
	switch rapid.IntRange(0, 5).Draw(t.T, label+" handler") {
	case 0:
		p.TCPSocket = &corev1.TCPSocketAction{Port: port(t, label)}
	case 1:
		p.Exec = &corev1.ExecAction{Command: []string{"true"}}
	case 2:
		p.GRPC = &corev1.GRPCAction{Port: seldomInt(t, "grpc", 8080, 0, 65_536)}
	case 3: // left out
	default:
		p.HTTPGet = &corev1.HTTPGetAction{Path: "/" + label, Port: port(t, label), Host: seldom(t, label+" host", "", "example.com")}
	}
	return p
}

func lifecycle(t draw, label string) *corev1.Lifecycle {
	l := &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{}}
	switch rapid.IntRange(0, 8).Draw(t.T, label+" hook") {
	case 0:
		l.PreStop.Exec = &corev1.ExecAction{Command: []string{"sh", "-c", seldom(t, "script", "nginx -s quit", "sleep 5", "sleep 2; sleep 3", "sleep 1m")}}
	case 1, 2:
		l.PreStop.HTTPGet = &corev1.HTTPGetAction{Path: "/drain", Port: port(t, label+" hook")}
	case 3:
		if t.calm {
			return nil
		}
		l.PreStop.Sleep = &corev1.SleepAction{Seconds: 5}
	case 4:
		if t.calm {
			return nil
		}
		l.PreStop.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}
	case 5:
		signal := rapid.SampledFrom([]corev1.Signal{corev1.SIGKILL, corev1.SIGQUIT, corev1.SIGTERM, "SIGNONE"}).Draw(t.T, "signal")
		l.PreStop, l.StopSignal = nil, &signal
	default:
		return nil
	}
	return l
}

func service(t draw, pod corev1.PodSpec) corev1.ServiceSpec {
	s := corev1.ServiceSpec{
		Type:      seldomOf(t, "type", "", corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName, "Other"),
		ClusterIP: seldom(t, "cluster IP", "", corev1.ClusterIPNone, "10.0.0.300"),
	}
	if t.odd("owned Service field", 20) {
		s.PublishNotReadyAddresses, s.ExternalIPs = rapid.Bool().Draw(t.T, "publish"), []string{"192.0.2.1"}
	}
	if rapid.IntRange(0, 10).Draw(t.T, "policy") == 0 {
		s.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}
	for i := range rapid.IntRange(0, 2).Draw(t.T, "Service ports") {
		s.Ports = append(s.Ports, corev1.ServicePort{
			Name: seldom(t, "Service port name", []string{"http", "admin"}[i], "", "Bad"), Port: seldomInt(t, "Service port", 80+int32(i), 0, 80, 65_536),
			TargetPort: target(t, pod), NodePort: seldomInt(t, "node port", 0, 30_080, 80, -1),
		})
	}
	return s
}

func target(t draw, pod corev1.PodSpec) intstr.IntOrString {
	if rapid.Bool().Draw(t.T, "target left out") {
		return intstr.IntOrString{}
	}
	if further := furtherPorts(t, pod); len(further) > 0 && rapid.Bool().Draw(t.T, "target elsewhere") {
		return rapid.SampledFrom(further).Draw(t.T, "target elsewhere")
	}
	return port(t, "target")
}

// furtherPorts are ports of other containers than the first one, by name and by number. Seldom they are ports that no container may have.
func furtherPorts(t draw, pod corev1.PodSpec) []intstr.IntOrString {
	if t.odd("ports of no container", 40) {
		return []intstr.IntOrString{intstr.FromString("proxy"), intstr.FromString("sidecar0")}
	}
	var all []intstr.IntOrString
	for _, c := range slices.Concat(pod.Containers[1:], pod.InitContainers) {
		for _, p := range c.Ports {
			all = append(all, intstr.FromString(p.Name), intstr.FromInt32(p.ContainerPort))
		}
	}
	return all
}

func port(t draw, label string) intstr.IntOrString {
	if rapid.IntRange(0, 2).Draw(t.T, label+" by number") == 0 {
		return intstr.FromInt32(seldomInt(t, label+" number", 8080, 0, 65_536, -1))
	}
	return intstr.FromString(seldom(t, label+" name", "http", "admin", "nowhere", "", "Bad Port"))
}

// odd is true in one of `once` draws, and in far fewer if the draw is calm.
func (t draw) odd(label string, once int) bool {
	if t.calm {
		once *= 20
	}
	return rapid.IntRange(1, once).Draw(t.T, label+" is odd") == once
}

func maybe[V any](t draw, label string, g *rapid.Generator[V]) *V {
	if rapid.Bool().Draw(t.T, label+" left out") {
		return nil
	}
	return new(g.Draw(t.T, label))
}

// seldom returns usual, and in 1 of 20 draws one of the others.
func seldom(t draw, label, usual string, others ...string) string {
	return seldomOf(t, label, usual, others...)
}

func seldomInt(t draw, label string, usual int32, others ...int32) int32 {
	return seldomOf(t, label, usual, others...)
}

func seldomOf[V any](t draw, label string, usual V, others ...V) V {
	if !t.odd(label, 20) {
		return usual
	}
	return rapid.SampledFrom(others).Draw(t.T, label)
}
