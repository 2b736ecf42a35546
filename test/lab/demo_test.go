package lab

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

// The comparison is fair: only the probes, the preStop hook with its port, and the end of the listener differ.
func TestTheWorkloadsOfTheDemoRunTheSameContainer(t *testing.T) {
	d := NewDemo(nil, nil, DemoOptions{WorkloadImage: "hello:0.1.0"}, nil)
	app := d.App().Spec.Template.Spec.Containers[0]
	unchanged, control := d.lab.suite.workloads[1], d.lab.suite.workloads[2]
	objects := control.build(control, short, "hello:0.1.0")
	deployment, service := objects[0].(*appsv1.Deployment), objects[1].(*corev1.Service)
	app.ReadinessProbe, app.LivenessProbe, app.Lifecycle = nil, nil, nil
	app.Ports = slices.DeleteFunc(app.Ports, func(p corev1.ContainerPort) bool { return p.Name == "admin" })
	app.Env = slices.DeleteFunc(app.Env, func(e corev1.EnvVar) bool { return e.Name == "ADMIN_PORT" })
	app.Env = append(app.Env, corev1.EnvVar{Name: "LATE_CONNECTIONS", Value: "refused"})
	if diff := cmp.Diff(app, deployment.Spec.Template.Spec.Containers[0]); diff != "" {
		t.Error(diff)
	}
	// The server behind the sidecar is the least able one: it knows nothing of SIGTERM.
	behind := unchanged.build(unchanged, short, "hello:0.1.0")[0].(*v1alpha1.GracefulApp).Spec.Template.Spec.Containers[0]
	behind.ReadinessProbe, behind.LivenessProbe = nil, nil
	app.Env[len(app.Env)-1] = corev1.EnvVar{Name: "AT_SIGTERM", Value: "exit"}
	if diff := cmp.Diff(app, behind); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(service.Spec.Selector, deployment.Spec.Template.Labels); diff != "" {
		t.Errorf("the Service does not select the pods: %s", diff)
	}
}

func TestEachNodeSendsItsShareToTheWorkloadsOfTheDemo(t *testing.T) {
	a := addresses{services: map[string]string{DemoApp: "198.19.0.1", DemoSidecar: "198.19.0.2", DemoControl: "fd00::1"}}
	args := strings.Join(loadgen(place{name: "node-1", node: "node-1"}, "loadgen:0.1.0", demoSuite().targets(a, short, place{name: "node-1"}, "1")).
		Spec.Containers[0].Args, " ")
	for _, want := range []string{
		"--target hello/new_connections,_1_s_each@node-1#1=http://198.19.0.1:80/?seconds=1,rate=15,mode=new ",
		"--target hello/keep-alive,_at_once@node-1#1=http://198.19.0.1:80/?seconds=0,rate=30,mode=keep-alive,connections=20",
		"--target hello-sidecar/keep-alive,_at_once@node-1#1=http://198.19.0.2:80/?seconds=0,rate=30,mode=keep-alive,connections=20",
		"--target hello-naive/new_connections,_1_s_each@node-1#1=http://[fd00::1]:80/?seconds=1,rate=15,mode=new ",
	} {
		if !strings.Contains(args, want) {
			t.Errorf("%q lacks %q", args, want)
		}
	}
	if targets := demoSuite().targets(a, short, place{name: "outside-node-1", outside: true}, "1"); len(targets) > 0 {
		t.Errorf("%d targets from outside the cluster", len(targets))
	}
}

func TestDemoSteps(t *testing.T) {
	var got []string
	for _, s := range demoSteps("1") {
		got = append(got, s.text)
	}
	if diff := cmp.Diff([]string{"scale-up 2 -> 5", "scale-down 5 -> 1", "scale-up 1 -> 3", "rollout of 3"}, got); diff != "" {
		t.Error(diff)
	}
}

// The demo counts its losses by phase, so it needs all of them. A stored run of the lab must not grow with an outage.
func TestFewerLossesAreStored(t *testing.T) {
	s := report.Scenario{Workloads: []report.Workload{{Losses: make([]report.Loss, report.MaxLosses+1)}, {Losses: make([]report.Loss, 1)}}}
	got := withFewerLosses(s)
	if many, few := len(got.Workloads[0].Losses), len(got.Workloads[1].Losses); many != report.MaxLosses || few != 1 {
		t.Errorf("%d and %d losses; want %d and 1", many, few, report.MaxLosses)
	}
}
