package children

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

func TestRemovesTargetPort(t *testing.T) {
	tests := []struct {
		name    string
		target  intstr.IntOrString
		want    *corev1ac.ContainerPortApplyConfiguration
		removes bool
	}{
		{name: "the port stays the same", target: intstr.FromString("http"), want: corev1ac.ContainerPort().WithName("http").WithContainerPort(8080)},
		{name: "the name changes", target: intstr.FromString("http"), want: corev1ac.ContainerPort().WithName("web").WithContainerPort(8080), removes: true},
		{name: "the number stays, and the Service targets it", target: intstr.FromInt32(8080), want: corev1ac.ContainerPort().WithName("web").WithContainerPort(8080)},
		{name: "the number changes", target: intstr.FromInt32(8080), want: corev1ac.ContainerPort().WithName("http").WithContainerPort(9090), removes: true},
		{
			name: "another client has edited the target, which no pod has", target: intstr.FromString("edited"),
			want: corev1ac.ContainerPort().WithName("http").WithContainerPort(8080),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			live := &appsv1.Deployment{}
			live.Spec.Template.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}
			service := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, TargetPort: tt.target}}}}
			want := appsv1ac.Deployment("hello", "team").WithSpec(appsv1ac.DeploymentSpec().WithTemplate(corev1ac.PodTemplateSpec().WithSpec(
				corev1ac.PodSpec().WithContainers(corev1ac.Container().WithPorts(tt.want)))))
			if removes := removesTargetPort(plan.Plan{Deployment: want}, Observed{Deployment: live, Service: service}); removes != tt.removes {
				t.Errorf("removesTargetPort = %v, want %v", removes, tt.removes)
			}
		})
	}
}
