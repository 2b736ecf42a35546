package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// The sidecar's ports get numbers and names that the pod does not use yet.
func TestPortsOfTheDrainSidecar(t *testing.T) {
	app := unchanged(func(app *v1alpha1.GracefulApp) {
		c := testapp.Container(app)
		c.Ports = append(c.Ports, corev1.ContainerPort{Name: "app-18080", ContainerPort: 81}, corev1.ContainerPort{Name: "drain-metrics", ContainerPort: 18090})
		c.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(18081)}}}
		c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 18082}}}
		app.Spec.Service = service(corev1.ServicePort{Name: "http", Port: 80, AppProtocol: new("kubernetes.io/h2c")}, corev1.ServicePort{Name: "second", Port: 81, TargetPort: intstr.FromString("app-18080")})
	})
	p, errs, _ := plan.For(app, plan.Running{DrainProxy: drainProxy})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var ports []string
	for _, c := range []corev1ac.ContainerApplyConfiguration{*sidecarOf(p), p.Deployment.Spec.Template.Spec.Containers[0]} {
		for _, port := range c.Ports {
			ports = append(ports, fmt.Sprintf("%s:%d", *port.Name, *port.ContainerPort))
		}
	}
	want := []string{"http:18080", "app-18080:18084", "drain-m-18091:18091", "app-18081:8080", "app-18084:81", "drain-metrics:18090"}
	if diff := cmp.Diff(want, ports); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if args := strings.Join(sidecarOf(p).Args, " "); !strings.Contains(args, "--admin-port=18083") {
		t.Errorf("the admin port is one that a probe uses: %s", args)
	}
}

// An error of the API server names the field that the user wrote.
func TestSourceBesideTheDrainSidecar(t *testing.T) {
	p, errs, _ := plan.For(unchanged(), plan.Running{DrainProxy: drainProxy})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for path, want := range map[string]string{
		"spec.template.spec.initContainers[1].image":               "spec.template.spec.initContainers[0].image",
		"spec.template.spec.initContainers[0].image":               "metadata.annotations[apps.gracefulapp.dev/drain-image]",
		"spec.template.spec.initContainers[0].resources.limits":    "spec.drain.sidecar.resources.limits",
		"spec.template.spec.initContainers[0].securityContext.foo": "spec.drain",
		"spec.template.spec.containers[0].image":                   "spec.template.spec.containers[0].image",
	} {
		if got := p.Source("Deployment", path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// Another client could write a token that the kubelet expands in the environment and not in a header.
func TestTokenOfTheDrainSidecar(t *testing.T) {
	edited := func(r *plan.Running) { r.Deployment.Spec.Template.Spec.InitContainers[0].Env[0].Value = "$(HOSTNAME)" }
	for _, tt := range []struct {
		running plan.Running
		want    string
	}{{running: running(t, "proxy:1"), want: liveToken}, {running: running(t, "proxy:1", edited), want: newToken}} {
		p, _, _ := plan.For(unchanged(), tt.running)
		if got := *sidecarOf(p).Env[0].Value; got != tt.want {
			t.Errorf("token %s, want %s", got, tt.want)
		}
	}
}
