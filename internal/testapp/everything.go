package testapp

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Everything is a spec with fields that are difficult for apply configurations and managed fields: defaulted probes, quantities in
// two notations, empty structs, defaults inside atomic structs and lists, sidecars, several ports.
func Everything(app *v1alpha1.GracefulApp) {
	pod := &app.Spec.Template.Spec
	pod.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	name := &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "info", VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "name", FieldRef: name}}}},
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
		}},
	}}, corev1.Volume{Name: "labels", VolumeSource: corev1.VolumeSource{
		DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{{Path: "name", FieldRef: name}}},
	}})
	pod.Containers[0].Env = []corev1.EnvVar{
		{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: name}},
		{Name: "CPUS", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
	}
	pod.SecurityContext = &corev1.PodSecurityContext{}
	pod.InitContainers = []corev1.Container{{
		Name: "proxy", Image: "proxy:1", RestartPolicy: new(corev1.ContainerRestartPolicyAlways),
	}}
	pod.Containers[0].Ports = append(pod.Containers[0].Ports,
		corev1.ContainerPort{Name: "dns", ContainerPort: 8080, Protocol: corev1.ProtocolUDP})
	pod.Containers[0].Resources.Requests = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("0.1"), corev1.ResourceMemory: resource.MustParse("1024Mi"),
	}
	pod.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/tmp"}}
	app.Spec.Service = &v1alpha1.ServiceTemplate{
		Metadata: v1alpha1.ServiceMetadata{Annotations: map[string]string{"example.com/tier": "gold"}},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{
			{Name: "http", Port: 80}, {Name: "dns", Port: 80, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromString("dns")},
		}},
	}
}
