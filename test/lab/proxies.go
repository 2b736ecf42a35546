package lab

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// proxyStatusPort is the port of /healthz in the configurations in proxyconf.
const proxyStatusPort = 8080

// startProxies starts the proxies for which there are images, as examples of an ingress, and waits until they serve.
func (l *lab) startProxies(ctx context.Context) error {
	if err := l.settle(ctx, l.suite.profile); err != nil { // the proxies resolve the Services' names when they start
		return err
	}
	var err error
	if l.addresses.nginx, err = l.startProxy(ctx, "nginx", l.options.nginxImage); err != nil {
		return err
	}
	l.addresses.haproxy, err = l.startProxy(ctx, "haproxy", l.options.haproxyImage)
	return err
}

func (l *lab) startProxy(ctx context.Context, name, image string) (address string, err error) {
	if image == "" {
		l.say("no clients send through %s, because there is no image of it", name)
		return "", nil
	}
	config, err := proxyConfig(name, l.suite.workloads)
	if err != nil {
		return "", err
	}
	service, deployment := l.proxyService(name), proxyDeployment(name, image)
	for _, object := range []client.Object{config, service, deployment} {
		if err := l.testbed.Create(ctx, object); err != nil {
			return "", fmt.Errorf("starting %s: %w", name, err)
		}
	}
	err = l.testbed.WaitFor(ctx, name+" to serve", 2*time.Minute, func(ctx context.Context) (testbed.Pending, error) {
		return l.testbed.DeploymentSettled(ctx, name, deployment.Generation, 0)
	})
	return service.Spec.ClusterIP, err
}

func proxyLabels(name string) map[string]string { return map[string]string{"app": name} }

func (l *lab) proxyService(name string) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Selector: proxyLabels(name)}}
	for _, w := range l.suite.workloads {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: w.name, Port: w.port, TargetPort: intstr.FromInt32(w.port)})
	}
	return s
}

func proxyDeployment(name, image string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: proxyLabels(name)},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: proxyLabels(name)},
			Spec: corev1.PodSpec{EnableServiceLinks: new(false), Containers: []corev1.Container{{
				Name: name, Image: image, Resources: requesting(proxyCPU),
				VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/" + name, ReadOnly: true}},
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
					Path: "/healthz", Port: intstr.FromInt32(proxyStatusPort),
				}}},
			}}, Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{
				ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}},
			}}}},
		},
	}}
}
