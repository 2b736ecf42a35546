package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

func TestServiceTargets(t *testing.T) {
	ports := func(all ...corev1.ContainerPort) func(*v1alpha1.GracefulApp) {
		return func(app *v1alpha1.GracefulApp) { container(app).Ports = all }
	}
	serve := func(all ...corev1.ServicePort) func(*v1alpha1.GracefulApp) {
		return func(app *v1alpha1.GracefulApp) { app.Spec.Service = service(all...) }
	}
	// beside adds a second container, after or before the one that serves.
	beside := func(first bool, all ...corev1.ContainerPort) func(*v1alpha1.GracefulApp) {
		return func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/default-container": "hello"}
			pod, exporter := &app.Spec.Template.Spec, corev1.Container{Name: "exporter", Image: "exporter:1", Ports: all}
			if first {
				pod.Containers = append([]corev1.Container{exporter}, pod.Containers...)
			} else {
				pod.Containers = append(pod.Containers, exporter)
			}
		}
	}
	http := corev1.ContainerPort{Name: "http", ContainerPort: 8080}
	web := corev1.ContainerPort{Name: "web", ContainerPort: 8080}
	dns := corev1.ContainerPort{Name: "dns", ContainerPort: 8080, Protocol: corev1.ProtocolUDP}
	tests := []struct {
		name    string
		modify  []func(*v1alpha1.GracefulApp)
		targets []string // of the derived Service's ports
		fields  []string // of the errors, if any
	}{
		{"none asked for", nil, []string{"http"}, nil},
		{"none asked for, the port's name is not http",
			[]func(*v1alpha1.GracefulApp){ports(web), probesOn("web")}, []string{"web"}, nil},
		{"none asked for, an exporter's port is named http", []func(*v1alpha1.GracefulApp){
			ports(web), probesOn("web"), beside(true, corev1.ContainerPort{Name: "http", ContainerPort: 9100}),
		}, []string{"web"}, nil},
		{"none asked for, UDP comes first", []func(*v1alpha1.GracefulApp){ports(dns, http)}, []string{"http"}, nil},
		{"only UDP", []func(*v1alpha1.GracefulApp){ports(dns), probesOn("dns")}, nil,
			[]string{"spec.template.spec.containers[0].ports"}},
		{"an only port without a target",
			[]func(*v1alpha1.GracefulApp){serve(corev1.ServicePort{Port: 80})}, []string{"http"}, nil},
		{"one number, two protocols", []func(*v1alpha1.GracefulApp){ports(http, dns), serve(
			corev1.ServicePort{Name: "a", Port: 80, TargetPort: intstr.FromInt32(8080)},
			corev1.ServicePort{Name: "b", Port: 80, TargetPort: intstr.FromInt32(8080), Protocol: corev1.ProtocolUDP},
		)}, []string{"http", "dns"}, nil},
		{"a name of the other protocol", []func(*v1alpha1.GracefulApp){serve(
			corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolUDP},
		)}, nil, []string{"spec.service.spec.ports[0].targetPort"}},
		{"another container's port by name", []func(*v1alpha1.GracefulApp){
			beside(false, corev1.ContainerPort{Name: "metrics", ContainerPort: 9100}),
			serve(corev1.ServicePort{Name: "http", Port: 80}, corev1.ServicePort{Name: "m", Port: 81, TargetPort: intstr.FromString("metrics")}),
		}, []string{"http", "metrics"}, nil},
		{"another container's port only if it is asked for", []func(*v1alpha1.GracefulApp){
			beside(false, corev1.ContainerPort{Name: "metrics", ContainerPort: 9100}),
			serve(corev1.ServicePort{Name: "http", Port: 80}, corev1.ServicePort{Name: "metrics", Port: 9100}),
		}, nil, []string{"spec.service.spec.ports[1].targetPort"}},
		{"a name that two containers have", []func(*v1alpha1.GracefulApp){
			beside(false, corev1.ContainerPort{Name: "http", ContainerPort: 9100}),
		}, nil, []string{"spec.template.spec.containers"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, errs, _ := plan.For(hello(tt.modify...), plan.Running{})
			var fields, targets []string
			for _, err := range errs {
				fields = append(fields, err.Field)
			}
			if diff := cmp.Diff(tt.fields, fields); diff != "" {
				t.Fatalf("fields with errors (-want +got):\n%s%v", diff, errs)
			}
			if len(errs) > 0 {
				return
			}
			for _, port := range p.Service.Spec.Ports {
				targets = append(targets, port.TargetPort.StrVal)
			}
			if diff := cmp.Diff(tt.targets, targets); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
		})
	}
}

// probesOn sets another port for the probes and the hook.
func probesOn(name string) func(*v1alpha1.GracefulApp) {
	return func(app *v1alpha1.GracefulApp) {
		port := intstr.FromString(name)
		c := container(app)
		c.ReadinessProbe.HTTPGet.Port, c.LivenessProbe.HTTPGet.Port, c.Lifecycle.PreStop.HTTPGet.Port = port, port, port
	}
}
