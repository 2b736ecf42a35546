package plan_test

import (
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

var shopLabels = map[string]string{"app": "shop"}

// live is a Deployment of three pods with one port, and a Service that targets its number, as the API server returns them.
func live(modify ...func(*plan.Running)) plan.Running {
	r := plan.Running{
		Deployment: &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "hello", Generation: 3},
			Spec: appsv1.DeploymentSpec{
				Replicas: new(int32(3)),
				Selector: &metav1.LabelSelector{MatchLabels: shopLabels},
				Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "shop", Ports: []corev1.ContainerPort{{ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
				}}}},
			},
			Status: appsv1.DeploymentStatus{ObservedGeneration: 3, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3},
		},
		Service: &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "hello"},
			Spec: corev1.ServiceSpec{
				Type: corev1.ServiceTypeClusterIP, ClusterIP: "198.19.0.7", ClusterIPs: []string{"198.19.0.7"}, Selector: shopLabels,
				SessionAffinity: corev1.ServiceAffinityNone, InternalTrafficPolicy: new(corev1.ServiceInternalTrafficPolicyCluster),
				IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, IPFamilyPolicy: new(corev1.IPFamilyPolicySingleStack),
				Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(8080)}},
			},
		},
	}
	for _, m := range modify {
		m(&r)
	}
	return r
}

// adopting is an app that fits the live objects.
func adopting(modify ...testapp.Modifier) *v1alpha1.GracefulApp {
	return testapp.New(append([]testapp.Modifier{func(app *v1alpha1.GracefulApp) {
		app.UID = "8b0e5c1a-0000-4000-8000-000000000001"
		app.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
		app.Spec.Replicas = new(int32(3))
		app.Spec.Selector = &v1alpha1.Selector{MatchLabels: shopLabels}
		app.Spec.Template.Labels = shopLabels
	}}, modify...)...)
}

func paused(app *v1alpha1.GracefulApp) { app.Spec.Paused = new(true) }

func given(spec corev1.ServiceSpec) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) { app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: spec} }
}

func onService(modify func(*corev1.ServiceSpec)) func(*plan.Running) {
	return func(r *plan.Running) { modify(&r.Service.Spec) }
}

func TestAdoption(t *testing.T) {
	loadBalancer := onService(func(s *corev1.ServiceSpec) {
		s.Type, s.ExternalTrafficPolicy = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyCluster
		s.AllocateLoadBalancerNodePorts = new(true)
		s.Ports[0].Port, s.Ports[0].NodePort, s.Ports[0].Name = 443, 30123, "https"
	})
	port443 := corev1.ServicePort{Name: "https", Port: 443, TargetPort: intstr.FromInt32(8080)}
	port80 := []corev1.ServicePort{{Name: "http", Port: 80}}
	targetsWeb := onService(func(s *corev1.ServiceSpec) { s.Ports[0].TargetPort = intstr.FromString("web") })
	namedWeb := func(r *plan.Running) { r.Deployment.Spec.Template.Spec.Containers[0].Ports[0].Name = "web" }
	rollingOut := func(r *plan.Running) { r.Deployment.Status.UpdatedReplicas = 1 }
	tests := []struct {
		name   string
		app    *v1alpha1.GracefulApp
		live   plan.Running
		errors []string // a part of each
		warns  string
	}{
		{name: "the live objects fit", app: adopting(), live: live()},
		{name: "the live objects fit, paused", app: adopting(paused), live: live()},
		{name: "another selector of the Deployment", app: adopting(), live: live(func(r *plan.Running) {
			r.Deployment.Spec.Selector.MatchLabels = map[string]string{"app": "other"}
		}), errors: []string{"spec.selector: Forbidden: the selector of Deployment hello is app=other, which cannot change"}},
		{name: "a selector with expressions", app: adopting(), live: live(func(r *plan.Running) {
			r.Deployment.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "tier", Operator: metav1.LabelSelectorOpExists}}
		}), errors: []string{"a Service selects by labels only"}},
		{name: "a Service that selects other pods", app: adopting(), live: live(onService(func(s *corev1.ServiceSpec) {
			s.Selector = map[string]string{"app": "other"}
		})), errors: []string{"the selector of Service hello is app=other, and the GracefulApp's is app=shop"}},
		{name: "another number of replicas", app: adopting(testapp.Replicas(1)), live: live(),
			errors: []string{"spec.replicas: Invalid value: 1: Deployment hello has 3 replicas; adopt it with replicas: 3"}},
		{name: "replicas left out", app: adopting(func(app *v1alpha1.GracefulApp) { app.Spec.Replicas = nil }), live: live(),
			errors: []string{"adopt it with replicas: 3"}},
		{name: "replicas that come from an autoscaler", app: adopting(testapp.Replicas(1)),
			live: live(func(r *plan.Running) { r.Autoscaler = "web" }), warns: "HorizontalPodAutoscaler web targets Deployment hello"},
		{name: "another number of the container port", app: adopting(func(app *v1alpha1.GracefulApp) { testapp.Container(app).Ports[0].ContainerPort = 9090 }),
			live: live(), errors: []string{"port 80 of Service hello sends requests to container port 8080, and the template's port http is 9090; keep 8080"}},
		{name: "a LoadBalancer, and no service", app: adopting(), live: live(loadBalancer), errors: []string{
			`adopting Service hello would change it: type from "LoadBalancer" to "ClusterIP", ports from ` +
				`[{"name":"https","port":443,"protocol":"TCP"}] to [{"name":"http","port":80,"protocol":"TCP"}]; to keep it as it is, write service: ` +
				`{"spec":{"ports":[{"name":"https","port":443,"targetPort":8080}],"type":"LoadBalancer"}}`}},
		{name: "a LoadBalancer as the message says", live: live(loadBalancer), app: adopting(paused, given(corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{port443},
		})), warns: "cloud load balancers continue to send requests"},
		{name: "an unnamed port, and no service", app: adopting(), live: live(onService(func(s *corev1.ServiceSpec) { s.Ports[0].Name = "" })),
			errors: []string{`write service: {"spec":{"ports":[{"port":80,"targetPort":8080}]}}`}},
		{name: "session affinity left out", app: adopting(), live: live(onService(func(s *corev1.ServiceSpec) {
			s.SessionAffinity = corev1.ServiceAffinityClientIP
			s.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(int32(10_800))}}
		})), errors: []string{`sessionAffinity from "ClientIP" to "None"`}},
		{name: "session affinity written, its default left out", app: adopting(paused, given(corev1.ServiceSpec{
			SessionAffinity: corev1.ServiceAffinityClientIP, Ports: []corev1.ServicePort{{Name: "http", Port: 80}},
		})), live: live(onService(func(s *corev1.ServiceSpec) {
			s.SessionAffinity = corev1.ServiceAffinityClientIP
			s.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(int32(10_800))}}
		}))},
		{name: "headless left out", app: adopting(), live: live(onService(func(s *corev1.ServiceSpec) {
			s.ClusterIP, s.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
		})), errors: []string{`clusterIP from "None" to ""`}},
		{name: "changed on purpose while paused", app: adopting(paused, given(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort,
			Ports: []corev1.ServicePort{{Name: "http", Port: 80}}})), live: live(),
			errors: []string{"; change it when spec.paused is false"}},
		{name: "changed on purpose", app: adopting(given(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort,
			Ports: []corev1.ServicePort{{Name: "http", Port: 80}}})), live: live(),
			warns: `adopting Service hello changes it at once, and its clients may lose requests: type from "ClusterIP" to "NodePort"`},
		{name: "a second port left out", app: adopting(paused), live: live(onService(func(s *corev1.ServiceSpec) {
			s.Ports = append(s.Ports, corev1.ServicePort{Name: "admin", Port: 81, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(8081)})
		})), errors: []string{"ports from"}},
		{name: "settings that a GracefulApp does not support", app: adopting(), live: live(onService(func(s *corev1.ServiceSpec) {
			s.ExternalIPs, s.PublishNotReadyAddresses = []string{"198.51.100.1"}, true
		})), errors: []string{"Service hello has externalIPs", "Service hello has publishNotReadyAddresses"}},
		{name: "an ExternalName Service", app: adopting(), live: live(onService(func(s *corev1.ServiceSpec) {
			s.Type, s.ClusterIP, s.ClusterIPs = corev1.ServiceTypeExternalName, "", nil
		})), errors: []string{"Service hello has type ExternalName", "adopting Service hello would change it: type"}},
		{name: "session affinity removed on purpose", app: adopting(given(corev1.ServiceSpec{SessionAffinity: corev1.ServiceAffinityNone, Ports: port80})),
			live: live(clientIP), warns: `sessionAffinity from "ClientIP" to "None", sessionAffinityConfig from 10800 to 0`},
		{name: "session affinity removed on purpose while paused", live: live(clientIP), errors: []string{`sessionAffinity from "ClientIP" to "None"`},
			app: adopting(paused, given(corev1.ServiceSpec{SessionAffinity: corev1.ServiceAffinityNone, Ports: port80}))},
		{name: "a LoadBalancer's settings, which a ClusterIP Service cannot have", live: live(settings),
			app:   adopting(given(corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: port80})),
			warns: `loadBalancerClass from "example.com/lb" to ""`},
		{name: "a LoadBalancer's settings left out", live: live(settings), errors: []string{`externalTrafficPolicy from "Local" to "Cluster"`},
			app: adopting(given(corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: port80}))},
		{name: "the cluster address written", app: adopting(paused, given(corev1.ServiceSpec{ClusterIP: "198.19.0.7", Ports: port80})), live: live()},
		{name: "another cluster address", app: adopting(given(corev1.ServiceSpec{ClusterIP: "198.19.0.8", Ports: port80})), live: live(),
			errors: []string{`clusterIP from "198.19.0.7" to "198.19.0.8" (it cannot change)`}},
		{name: "another IP family", app: adopting(given(corev1.ServiceSpec{IPFamilies: []corev1.IPFamily{corev1.IPv6Protocol}, Ports: port80})),
			live: live(), errors: []string{`ipFamilies from ["IPv4"] to ["IPv6"] (it cannot change)`}},
		{name: "another name of the port in the middle of a rollout", app: adopting(), live: live(targetsWeb, namedWeb, rollingOut), errors: []string{
			`port 80 of Service hello targets the container port "web", and a rollout of Deployment hello is in progress, so its pods may have different numbers for it; wait`}},
		{name: "the same name of the port in the middle of a rollout", live: live(rollingOut, onService(func(s *corev1.ServiceSpec) {
			s.Ports[0].TargetPort = intstr.FromString("http")
		})), app: adopting()},
		{name: "another name of the port, and no Deployment", app: adopting(), live: live(targetsWeb, func(r *plan.Running) { r.Deployment = nil }),
			errors: []string{`no Deployment hello shows its number; keep the name "web"`}},
		{name: "no Service yet", app: adopting(), live: live(func(r *plan.Running) { r.Service = nil })},
		{name: "no Deployment any more", app: adopting(), live: live(func(r *plan.Running) { r.Deployment = nil })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, errs, warnings := plan.For(tt.app, tt.live)
			if len(errs) != len(tt.errors) {
				t.Fatalf("%d errors, want %d: %v", len(errs), len(tt.errors), errs)
			}
			for i, err := range errs {
				if !strings.Contains(err.Error(), tt.errors[i]) {
					t.Errorf("%v\ndoes not say: %s", err, tt.errors[i])
				}
			}
			if all := strings.Join(warnings, "\n"); !strings.Contains(all, tt.warns) {
				t.Errorf("want the warning %q, got:\n%s", tt.warns, all)
			}
		})
	}
}

func clientIP(r *plan.Running) {
	r.Service.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
	r.Service.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(int32(10_800))}}
}

// settings are all that a LoadBalancer Service may have beside its type.
func settings(r *plan.Running) {
	s := &r.Service.Spec
	s.Type, s.ExternalTrafficPolicy = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal
	s.LoadBalancerClass, s.AllocateLoadBalancerNodePorts = new("example.com/lb"), new(false)
	s.LoadBalancerSourceRanges, s.LoadBalancerIP, s.HealthCheckNodePort = []string{"198.18.0.0/24"}, "192.0.2.1", 32_000
}

// The service that the message shows is accepted, for each kind of live Service.
func TestServiceAsItIs(t *testing.T) {
	tests := []struct {
		name string
		live func(*plan.Running)
	}{
		{name: "headless", live: onService(func(s *corev1.ServiceSpec) { s.ClusterIP, s.ClusterIPs = corev1.ClusterIPNone, nil })},
		{name: "load balancer", live: settings},
		{name: "session affinity", live: func(r *plan.Running) {
			clientIP(r)
			r.Service.Spec.SessionAffinityConfig.ClientIP.TimeoutSeconds = new(int32(60))
		}},
		{name: "traffic policies", live: onService(func(s *corev1.ServiceSpec) {
			s.TrafficDistribution, s.InternalTrafficPolicy = new(corev1.ServiceTrafficDistributionPreferSameZone), new(corev1.ServiceInternalTrafficPolicyLocal)
		})},
		{name: "dual-stack, unnamed", live: onService(func(s *corev1.ServiceSpec) {
			s.IPFamilyPolicy, s.IPFamilies = new(corev1.IPFamilyPolicyPreferDualStack), []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
			s.Ports[0].Name = ""
		})},
		{name: "several ports", live: onService(func(s *corev1.ServiceSpec) {
			s.Ports = append(s.Ports, corev1.ServicePort{Name: "h2c", Port: 81, NodePort: 30_081, Protocol: corev1.ProtocolTCP,
				AppProtocol: new("kubernetes.io/h2c"), TargetPort: intstr.FromInt32(8080)})
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := live(tt.live)
			_, errs, _ := plan.For(adopting(), r)
			if len(errs) != 1 {
				t.Fatalf("want one error, got %v", errs)
			}
			_, shown, _ := strings.Cut(errs[0].Detail, "write service: ")
			app := adopting(paused)
			if err := json.Unmarshal([]byte(shown), &app.Spec.Service); err != nil {
				t.Fatalf("%v: %s", err, shown)
			}
			if _, errs, _ := plan.For(app, r); len(errs) > 0 {
				t.Errorf("%s\n%v", shown, errs)
			}
		})
	}
}

// An adopted Service keeps its number until each pod has the named port.
func TestHandOver(t *testing.T) {
	owned := func(r *plan.Running) {
		owner := []metav1.OwnerReference{{UID: adopting().UID, Controller: new(true)}}
		r.Deployment.OwnerReferences, r.Service.OwnerReferences = owner, owner
	}
	named := func(r *plan.Running) { r.Deployment.Spec.Template.Spec.Containers[0].Ports[0].Name = "http" }
	rollingOut := func(r *plan.Running) { r.Deployment.Status.UpdatedReplicas = 1 }
	unobserved := func(r *plan.Running) { r.Deployment.Generation++ }
	unavailable := func(r *plan.Running) { r.Deployment.Status.AvailableReplicas = 2 }
	noPod := func(r *plan.Running) {
		r.Deployment.Status.Replicas, r.Deployment.Status.UpdatedReplicas, r.Deployment.Status.AvailableReplicas = 0, 0, 0
	}
	noDeployment := func(r *plan.Running) { r.Deployment = nil }
	targets := func(target intstr.IntOrString) func(*plan.Running) {
		return onService(func(s *corev1.ServiceSpec) { s.Ports[0].TargetPort = target })
	}
	number, name := intstr.FromInt32(8080), intstr.FromString("http")
	tests := []struct {
		name string
		live plan.Running
		want intstr.IntOrString
	}{
		{name: "new app", want: name},
		{name: "adopted with a number", live: live(), want: number},
		{name: "adopted with a number, the pods have the name", live: live(named), want: number},
		{name: "adopted with the name", live: live(named, targets(name)), want: name},
		{name: "adopted with another name of the same number", want: number, live: live(targets(intstr.FromString("web")), func(r *plan.Running) {
			r.Deployment.Spec.Template.Spec.Containers[0].Ports[0].Name = "web"
		})},
		{name: "adopted with a name that no pod has", live: live(targets(intstr.FromString("web"))), want: name},
		{name: "owned, paused: the template has the name, the pods do not", live: live(owned, named, rollingOut), want: number},
		{name: "owned, the Deployment's status is older than its template", live: live(owned, named, unobserved), want: number},
		{name: "owned, the template is not applied yet", live: live(owned), want: number},
		{name: "owned, rolled out", live: live(owned, named), want: name},
		{name: "owned, the pods are not available yet", live: live(owned, named, unavailable), want: number},
		{name: "owned, paused since it was created: no pod yet", live: live(owned, named, noPod), want: number},
		{name: "adopted without a Deployment", live: live(noDeployment), want: number},
		{name: "owned, the Deployment was deleted", live: live(owned, noDeployment), want: name},
		{name: "owned, handed over, and in the next rollout", live: live(owned, named, rollingOut, targets(name)), want: name},
		{name: "owned, another client wrote another number", live: live(owned, named, rollingOut, targets(intstr.FromInt32(9090))), want: name},
		{name: "owned, another client wrote another name", live: live(owned, named, rollingOut, targets(intstr.FromString("web"))), want: name},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, errs, _ := plan.For(adopting(), tt.live)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if got := *p.Service.Spec.Ports[0].TargetPort; got != tt.want {
				t.Errorf("target %s, want %s", got.String(), tt.want.String())
			}
		})
	}
}

func TestChangesDuringAnAdoption(t *testing.T) {
	owned := func(r *plan.Running) {
		owner := []metav1.OwnerReference{{UID: adopting().UID, Controller: new(true)}}
		r.Deployment.OwnerReferences, r.Service.OwnerReferences = owner, owner
		r.Deployment.Status.UpdatedReplicas = 0
	}
	renumber := func(app *v1alpha1.GracefulApp) { testapp.Container(app).Ports[0].ContainerPort = 9090 }
	rename := func(app *v1alpha1.GracefulApp) {
		testapp.Container(app).Ports[0].Name = "web"
		testapp.Container(app).ReadinessProbe, testapp.Container(app).LivenessProbe = nil, nil
	}
	adopted := func(app *v1alpha1.GracefulApp) { app.Annotations = nil }
	nodePort := given(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort})
	tests := []struct {
		name    string
		live    plan.Running
		old     *v1alpha1.GracefulApp
		updated *v1alpha1.GracefulApp
		refused string
	}{
		{name: "unpausing", live: live(owned), old: adopting(paused), updated: adopting()},
		{name: "another number before the rollout", live: live(owned), old: adopting(paused), updated: adopting(renumber),
			refused: "Service hello sends requests to container port 8080 until the rollout after the adoption has finished"},
		{name: "another name before the rollout", live: live(owned), old: adopting(paused), updated: adopting(rename)},
		{name: "another type while paused", live: live(owned), old: adopting(paused), updated: adopting(paused, nodePort),
			refused: `it would change Service hello while the adoption is paused: type from "ClusterIP" to "NodePort"`},
		{name: "another type and a pause at once", live: live(owned), old: adopting(), updated: adopting(paused, nodePort),
			refused: "set spec.paused to false first"},
		{name: "another type while paused, and the annotation goes", live: live(owned), old: adopting(paused),
			updated: adopting(paused, adopted, nodePort), refused: "set spec.paused to false first"},
		{name: "another type with the end of the pause", live: live(owned), old: adopting(paused), updated: adopting(nodePort)},
		{name: "another type, the adoption is over", live: live(owned), old: adopting(paused, adopted), updated: adopting(paused, adopted, nodePort)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			errs := plan.CheckChange(tt.old, tt.updated, tt.live)
			if tt.refused == "" && len(errs) > 0 || tt.refused != "" && (len(errs) != 1 || !strings.Contains(errs[0].Error(), tt.refused)) {
				t.Errorf("want %q, got %v", tt.refused, errs)
			}
		})
	}
}
