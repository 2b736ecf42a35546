package main

import (
	"net"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

const (
	namespace = "graceful-demo"
	appName   = "hello"
	twinName  = "hello-naive"
	twinLabel = "app"

	startSeconds   = 5 // of hello's simulated start
	requestSeconds = 1 // of a slow request
	startReplicas  = 2
)

// Load on each workload, requests per second over all generators: 240 make 20,000 in 85 s and leave two cores room.
const (
	slowRate        = 80  // each over a new connection, requestSeconds long
	keepAliveRate   = 160 // over kept connections, answered at once
	ratePerWorkload = slowRate + keepAliveRate
	connections     = 20 // of a generator to a workload, for keep-alive
)

// CPU requests keep the pods from starving beside the node's own processes. The generators need one too, or the servers' would starve them. The
// sum of ten pods, two generators and what a cluster runs fits one core.
const (
	serverCPU    = "50m"
	generatorCPU = "100m"
)

func requesting(cpu string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
}

func labels() map[string]string { return map[string]string{testbed.PartOfLabel: namespace} }

// helloContainer is the same for both workloads; what makes the difference is added by whoever runs it.
func helloContainer(image string) corev1.Container {
	return corev1.Container{
		Name:  "hello",
		Image: image,
		Env: []corev1.EnvVar{
			{Name: "STARTUP_SEC", Value: strconv.Itoa(startSeconds)},
			{Name: "REQUEST_SEC", Value: strconv.Itoa(requestSeconds)},
			{Name: "ADMIN_PORT", Value: "8081"},
		},
		Ports: []corev1.ContainerPort{
			{Name: "http", ContainerPort: 8080},
			{Name: "admin", ContainerPort: 8081}, // of the hook; the Service does not target it
		},
		Resources: requesting(serverCPU),
	}
}

func gracefulApp(image string) *v1alpha1.GracefulApp {
	c := helloContainer(image)
	get := func(path string) *corev1.HTTPGetAction {
		return &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")}
	}
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("/readyz")}}
	c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("/livez")}}
	c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
		HTTPGet: &corev1.HTTPGetAction{Path: "/drain", Port: intstr.FromString("admin")},
	}}
	return &v1alpha1.GracefulApp{
		ObjectMeta: metav1.ObjectMeta{Name: appName, Namespace: namespace, Labels: labels()},
		Spec: v1alpha1.GracefulAppSpec{
			Replicas: new(int32(startReplicas)),
			Timing:   v1alpha1.TimingSpec{StartupSeconds: startSeconds, RequestSeconds: requestSeconds},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{c}}},
		},
	}
}

// badApp has the tutorial's numbers but for t3, which is t1 + t2: SIGKILL would come just when the last request may end.
func badApp(image string) *v1alpha1.GracefulApp {
	app := gracefulApp(image)
	app.Name = "too-short"
	app.Spec.Timing = v1alpha1.TimingSpec{
		StartupSeconds: 25, RequestSeconds: 5,
		ShutdownSeconds: new(int32(20)), PreStopSeconds: new(int32(5)), TerminationGracePeriodSeconds: new(int32(25)),
	}
	return app
}

// twin is the control: the same image as a simple tutorial deploys it, without probes and hook.
func twin(image string) (*appsv1.Deployment, *corev1.Service) {
	selector := map[string]string{twinLabel: twinName}
	meta := metav1.ObjectMeta{Name: twinName, Namespace: namespace, Labels: labels()}
	return &appsv1.Deployment{
			ObjectMeta: meta,
			Spec: appsv1.DeploymentSpec{
				Replicas: new(int32(startReplicas)),
				Selector: &metav1.LabelSelector{MatchLabels: selector},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: selector},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{helloContainer(image)}},
				},
			},
		}, &corev1.Service{
			ObjectMeta: meta,
			Spec: corev1.ServiceSpec{
				Selector: selector,
				Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}},
			},
		}
}

// loadgen sends from a node to both Services by their ClusterIP: a name that is resolved for each new connection would make the cluster's
// DNS a part of the measurement.
func loadgen(image, node string, share int, appIP, twinIP string) *corev1.Pod {
	var args []string
	for _, workload := range []struct{ name, ip string }{{appName, appIP}, {twinName, twinIP}} {
		url := "http://" + net.JoinHostPort(workload.ip, "80")
		for _, client := range clients {
			target := load.Target{
				Name: workload.name + "/" + string(client.mode), URL: url + client.path, Rate: client.rate / float64(share), Mode: client.mode,
			}
			if client.mode == load.KeepAlive {
				target.Connections = connections
			}
			args = append(args, "--target", target.String())
		}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "loadgen-", Labels: labels()},
		Spec: corev1.PodSpec{
			NodeSelector:                  map[string]string{corev1.LabelHostname: node},
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64(testbed.LoadgenGraceSeconds)),
			EnableServiceLinks:            new(false),
			Containers:                    []corev1.Container{{Name: "loadgen", Image: image, Args: args, Resources: requesting(generatorCPU)}},
		},
	}
}
