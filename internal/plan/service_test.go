package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

func TestServiceTargets(t *testing.T) {
	ports := func(all ...corev1.ContainerPort) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) { testapp.Container(app).Ports = all }
	}
	serve := func(all ...corev1.ServicePort) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) { app.Spec.Service = service(all...) }
	}
	// beside adds a second container, after or before the one that serves.
	beside := func(first bool, all ...corev1.ContainerPort) testapp.Modifier {
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
		modify  []testapp.Modifier
		targets []string // of the derived Service's ports
		fields  []string // of the errors, if any
	}{
		{name: "none asked for", modify: nil, targets: []string{"http"}, fields: nil},
		{name: "none asked for, the port's name is not http",
			modify: []testapp.Modifier{ports(web), probesOn("web")}, targets: []string{"web"}, fields: nil},
		{name: "none asked for, an exporter's port is named http", modify: []testapp.Modifier{
			ports(web), probesOn("web"), beside(true, corev1.ContainerPort{Name: "http", ContainerPort: 9100}),
		}, targets: []string{"web"}, fields: nil},
		{name: "none asked for, UDP comes first", modify: []testapp.Modifier{ports(dns, http)}, targets: []string{"http"}, fields: nil},
		{name: "only UDP", modify: []testapp.Modifier{ports(dns), probesOn("dns")}, targets: nil,
			fields: []string{"spec.template.spec.containers[0].ports"}},
		{name: "an only port without a target",
			modify: []testapp.Modifier{serve(corev1.ServicePort{Port: 80})}, targets: []string{"http"}, fields: nil},
		{name: "one number, two protocols", modify: []testapp.Modifier{ports(http, dns), serve(
			corev1.ServicePort{Name: "a", Port: 80, TargetPort: intstr.FromInt32(8080)},
			corev1.ServicePort{Name: "b", Port: 80, TargetPort: intstr.FromInt32(8080), Protocol: corev1.ProtocolUDP},
		)}, targets: []string{"http", "dns"}, fields: nil},
		{name: "a name of the other protocol", modify: []testapp.Modifier{serve(
			corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolUDP},
		)}, targets: nil, fields: []string{"spec.service.spec.ports[0].targetPort"}},
		{name: "another container's port by name", modify: []testapp.Modifier{
			beside(false, corev1.ContainerPort{Name: "metrics", ContainerPort: 9100}),
			serve(corev1.ServicePort{Name: "http", Port: 80}, corev1.ServicePort{Name: "m", Port: 81, TargetPort: intstr.FromString("metrics")}),
		}, targets: []string{"http", "metrics"}, fields: nil},
		{name: "another container's port only if it is asked for", modify: []testapp.Modifier{
			beside(false, corev1.ContainerPort{Name: "metrics", ContainerPort: 9100}),
			serve(corev1.ServicePort{Name: "http", Port: 80}, corev1.ServicePort{Name: "metrics", Port: 9100}),
		}, targets: nil, fields: []string{"spec.service.spec.ports[1].targetPort"}},
		{name: "a name that two containers have", modify: []testapp.Modifier{
			beside(false, corev1.ContainerPort{Name: "http", ContainerPort: 9100}),
		}, targets: nil, fields: []string{"spec.template.spec.containers"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, errs, _ := plan.For(testapp.New(tt.modify...), plan.Running{})
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
func probesOn(name string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		port := intstr.FromString(name)
		c := testapp.Container(app)
		c.ReadinessProbe.HTTPGet.Port, c.LivenessProbe.HTTPGet.Port, c.Lifecycle.PreStop.HTTPGet.Port = port, port, port
	}
}
